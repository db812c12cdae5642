// Go's exec.LookPath: its rules, its errors.
#pragma once

#include <expected>
#include <string>
#include <string_view>

namespace keep::exec {

struct LookPathError {
    enum class Kind { not_found, dot, other };
    Kind kind = Kind::not_found;
    int code = 0;        // errno, where there is one (EACCES for a file that is there but not executable)
    std::string path;    // Kind::dot: the relative path that was found all the same (Go's ErrDot yields both)
    std::string message; // Go's text: exec: "prog": executable file not found in $PATH
};

// Finds the executable `file` in the directories of `path_list` (colon separated, as PATH). A name with a slash is
// tried directly. An absolute result, or: not_found; dot, when the only match lies in a directory relative to the
// current one (an empty element counts as "."); a directory or a file without x permission is no match.
std::expected<std::string, LookPathError> look_path(std::string_view file, std::string_view path_list);

// The same with the PATH of this process.
std::expected<std::string, LookPathError> look_path(std::string_view file);

} // namespace keep::exec
