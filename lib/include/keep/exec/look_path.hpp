// Go's exec.LookPath: its rules, its errors.
#pragma once

#include <string>
#include <string_view>

#include <keep/exec/error.hpp>

namespace keep::exec {

// Finds the executable `name` in the directories of PATH as this process has it. A name with a slash is tried directly,
// and returned as it is. Executable means: no directory, and an access check for the effective ids succeeds
// (faccessat2(2)), so that ACLs and a noexec mount count; its content is not looked at.
// Errors, each with the text `exec: "NAME": REASON`:
//   Errc::not_found   no directory of PATH has it; also for "", "." and ".." (CVE-2025-47906), and without PATH
//   Errc::dot         the first hit lies in a directory that is relative to the current one; path() is that hit
//   EISDIR, EACCES, ENOENT ...   a name with a slash that cannot be executed
KEEPEXEC_API Result<std::string> look_path(std::string_view name);

// The same in the directories of `path_list`, colon separated.
KEEPEXEC_API Result<std::string> look_path(std::string_view name, std::string_view path_list);

} // namespace keep::exec
