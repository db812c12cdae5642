#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <keep/exec/look_path.hpp>

#include "lib/exec/clean_path.hpp"
#include "lib/exec/error_data.hpp"

namespace keep::exec {
namespace {

// Why a file cannot be executed; code 0: it can.
struct Verdict {
    int code = 0;
    bool of_stat = false;
};

// By effective ids, so that a noexec mount, an ACL and root's rights count too.
Verdict judge(const std::string& path) {
    struct stat about{};
    if (::stat(path.c_str(), &about) != 0) return {errno, true};
    if (S_ISDIR(about.st_mode)) return {EISDIR};
    if (::faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) == 0) return {};
    if (errno != ENOSYS && errno != EPERM) return {errno};
    return {(about.st_mode & 0111) != 0 ? 0 : EACCES}; // the call itself is refused: go by the mode
}

std::unexpected<Error> not_found(std::string_view name) {
    return failed(lookup_error_of(name, Errc::not_found));
}

} // namespace

Result<std::string> look_path(std::string_view name, std::string_view path_list) {
    // A NUL would cut the name that the kernel sees. The dots name directories, whatever PATH holds (CVE-2025-47906).
    const bool nothing = name.empty() || name == "." || name == ".." || name.find('\0') != std::string_view::npos;
    if (nothing) return not_found(name);
    if (name.find('/') != std::string_view::npos) {
        const Verdict verdict = judge(std::string(name));
        if (verdict.code == 0) return std::string(name);
        return failed(verdict.of_stat ? lookup_stat_error(name, verdict.code)
                                      : lookup_error_of(name, system_code(verdict.code)));
    }
    for (std::string_view rest = path_list; !path_list.empty();) {
        const std::size_t colon = rest.find(':');
        const std::string_view element = rest.substr(0, colon);
        const std::string path =
            element.empty() ? std::string(name) : clean_path(std::string(element) + "/" + std::string(name));
        if (judge(path).code == 0) {
            if (path.starts_with('/')) return path;
            return failed(lookup_error_of(name, Errc::dot, path));
        }
        if (colon == std::string_view::npos) break;
        rest.remove_prefix(colon + 1);
    }
    return not_found(name);
}

Result<std::string> look_path(std::string_view name) {
    const char* list = std::getenv("PATH");
    return look_path(name, list != nullptr ? std::string_view(list) : std::string_view());
}

} // namespace keep::exec
