#include "lib/exec/replace.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/syscall.h>
#include <system_error>
#include <unistd.h>

namespace keep::exec {
namespace {

Error error_of(const Replacement& with, std::string_view what, int code) {
    return {code,
            "replace by '" + with.path + "': " + std::string(what) + ": " + std::generic_category().message(code)};
}

// Clears close-on-exec, and sets it again on those that had it when we come back from a failed exec.
class Handed {
  public:
    Handed() = default;
    Handed(const Handed&) = delete;
    Handed& operator=(const Handed&) = delete;
    ~Handed() {
        for (const Former& former : formers_)
            ::fcntl(former.fd, F_SETFD, former.flags);
    }
    // 0 or errno.
    int add(int fd) {
        const int flags = ::fcntl(fd, F_GETFD);
        if (flags < 0) return errno;
        if ((flags & FD_CLOEXEC) == 0) return 0;
        if (::fcntl(fd, F_SETFD, flags & ~FD_CLOEXEC) != 0) return errno;
        formers_.push_back({fd, flags});
        return 0;
    }

  private:
    struct Former {
        int fd;
        int flags;
    };
    std::vector<Former> formers_;
};

// Nothing if a string holds a NUL, which would cut what the new image sees.
bool add_strings(const std::vector<std::string>& strings, std::vector<char*>& pointers) {
    for (const std::string& text : strings) {
        if (text.find('\0') != std::string::npos) return false;
        pointers.push_back(const_cast<char*>(text.c_str())); // execve(2) does not write to it
    }
    pointers.push_back(nullptr);
    return true;
}

} // namespace

Error replace(const Replacement& with) {
    std::vector<char*> argv;
    std::vector<char*> env;
    argv.reserve(with.argv.size() + 1);
    env.reserve(with.env.size() + 1);
    if (with.path.find('\0') != std::string::npos) return error_of(with, "path with a NUL", EINVAL);
    // Linux would make an argv of one empty string out of it (5.18), or run without argv[0] (before).
    if (with.argv.empty()) return error_of(with, "argv without argv[0]", EINVAL);
    if (!add_strings(with.argv, argv)) return error_of(with, "argv with a NUL", EINVAL);
    if (!add_strings(with.env, env)) return error_of(with, "env with a NUL", EINVAL);

    Handed handed;
    for (const int fd : with.keep) {
        if (const int code = handed.add(fd); code != 0) {
            return error_of(with, "keep descriptor " + std::to_string(fd), code);
        }
    }
    if (with.fd < 0) {
        ::execve(with.path.c_str(), argv.data(), env.data());
        return error_of(with, "execve", errno);
    }
    ::syscall(SYS_execveat, with.fd, "", argv.data(), env.data(), AT_EMPTY_PATH);
    return error_of(with, "execveat", errno);
}

} // namespace keep::exec
