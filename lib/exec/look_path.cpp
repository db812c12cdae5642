#include "lib/exec/look_path.hpp"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <vector>

namespace keep::exec {
namespace {

// Go's strconv.Quote, as far as a file name needs it.
std::string in_quotes(std::string_view text) {
    static constexpr std::string_view hex = "0123456789abcdef";
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out.append({'\\', c});
        } else if (c == '\n') {
            out += "\\n";
        } else if (c == '\t') {
            out += "\\t";
        } else if (byte < 0x20 || byte == 0x7f) {
            out.append({'\\', 'x', hex[byte >> 4], hex[byte & 15]});
        } else {
            out += c;
        }
    }
    return out + '"';
}

LookPathError error_of(LookPathError::Kind kind, std::string_view file, int code, std::string path = {}) {
    std::string reason;
    switch (kind) {
    case LookPathError::Kind::not_found: reason = "executable file not found in $PATH"; break;
    case LookPathError::Kind::dot: reason = "cannot run executable found relative to current directory"; break;
    case LookPathError::Kind::other: reason = std::generic_category().message(code); break;
    }
    return {kind, code, std::move(path), "exec: " + in_quotes(file) + ": " + reason};
}

// 0, or why it cannot be executed. By effective ids, so that a noexec mount, an ACL and root's rights count too.
int why_not_executable(const std::string& path) {
    struct stat about{};
    if (::stat(path.c_str(), &about) != 0) return errno;
    if (S_ISDIR(about.st_mode)) return EISDIR;
    if (::faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) == 0) return 0;
    if (errno != ENOSYS && errno != EPERM) return errno;
    return (about.st_mode & 0111) != 0 ? 0 : EACCES; // the call itself is refused: go by the mode
}

// Go's filepath.Clean: lexical, so symbolic links are not looked at.
std::string cleaned(std::string_view path) {
    const bool rooted = path.starts_with('/');
    std::vector<std::string_view> parts;
    while (!path.empty()) {
        const std::size_t end = path.find('/');
        const std::string_view part = path.substr(0, end);
        path.remove_prefix(end == std::string_view::npos ? path.size() : end + 1);
        if (part.empty() || part == ".") continue;
        if (part != "..") {
            parts.push_back(part);
        } else if (!parts.empty() && parts.back() != "..") {
            parts.pop_back();
        } else if (!rooted) {
            parts.push_back(part);
        }
    }
    std::string out = rooted ? "/" : "";
    for (const std::string_view part : parts) {
        if (!out.empty() && out.back() != '/') out += '/';
        out += part;
    }
    return out.empty() ? "." : out;
}

} // namespace

std::expected<std::string, LookPathError> look_path(std::string_view file, std::string_view path_list) {
    using Kind = LookPathError::Kind;
    // A NUL would cut the name that the kernel sees. The dots name directories, whatever PATH holds (CVE-2025-47906).
    const bool nothing = file.empty() || file == "." || file == ".." || file.find('\0') != std::string_view::npos;
    if (nothing) return std::unexpected(error_of(Kind::not_found, file, 0));
    if (file.find('/') != std::string_view::npos) {
        const int code = why_not_executable(std::string(file));
        if (code == 0) return std::string(file);
        return std::unexpected(error_of(Kind::other, file, code));
    }
    for (std::string_view rest = path_list; !path_list.empty();) {
        const std::size_t colon = rest.find(':');
        const std::string_view element = rest.substr(0, colon);
        const std::string path =
            element.empty() ? std::string(file) : cleaned(std::string(element) + "/" + std::string(file));
        if (why_not_executable(path) == 0) {
            if (path.starts_with('/')) return path;
            return std::unexpected(error_of(Kind::dot, file, 0, path));
        }
        if (colon == std::string_view::npos) break;
        rest.remove_prefix(colon + 1);
    }
    return std::unexpected(error_of(Kind::not_found, file, 0));
}

std::expected<std::string, LookPathError> look_path(std::string_view file) {
    const char* list = std::getenv("PATH");
    return look_path(file, list != nullptr ? std::string_view(list) : std::string_view());
}

} // namespace keep::exec
