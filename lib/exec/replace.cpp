#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <dirent.h>
#include <fcntl.h>
#include <string_view>
#include <sys/syscall.h>
#include <unistd.h>

#include <keep/exec/replace.hpp>

#include "lib/exec/error_data.hpp"
#include "lib/exec/hold_off.hpp"
#include "lib/exec/nofile_limit.hpp"
#include "lib/exec/raw_syscall.hpp"

namespace keep::exec {
namespace {

// "exec PATH: REASON" (Go has the bare reason); what was done beforehand has a name of its own.
Error replace_error(const Replacement& with, std::string_view what, int code) {
    Error::Data data;
    data.code = system_code(code);
    data.op = "exec";
    data.path = with.path;
    data.object = what;
    data.message = "exec " + with.path + ": " + (what.empty() ? "" : std::string(what) + ": ") + errno_text(code);
    return Error(std::make_shared<const Error::Data>(std::move(data)));
}

// Changes close-on-exec flags, and puts them back when we come back from a failed exec.
class Flags {
  public:
    Flags() = default;
    Flags(const Flags&) = delete;
    Flags& operator=(const Flags&) = delete;
    ~Flags() {
        for (const Former& former : formers_)
            ::fcntl(former.fd, F_SETFD, former.flags);
    }
    // 0 or errno.
    int set(int fd, bool close_on_exec) {
        const int flags = ::fcntl(fd, F_GETFD);
        if (flags < 0) return errno;
        const int wanted = close_on_exec ? flags | FD_CLOEXEC : flags & ~FD_CLOEXEC;
        if (wanted == flags) return 0;
        if (::fcntl(fd, F_SETFD, wanted) != 0) return errno;
        formers_.push_back({fd, flags});
        return 0;
    }

    // Of one that is marked: clears its flag.
    int clear_marked(int fd) {
        if (::fcntl(fd, F_SETFD, 0) != 0) return errno;
        formers_.push_back({fd, FD_CLOEXEC});
        return 0;
    }

  private:
    struct Former {
        int fd;
        int flags;
    };
    std::vector<Former> formers_;
};

// Marks all that is open and not kept; 0 or errno. One by one, so that each flag can be put back.
int mark_others(const Replacement& with, Flags& flags) {
    DIR* list = ::opendir("/proc/self/fd");
    if (list == nullptr) return errno;
    std::vector<int> open;
    while (const dirent* entry = ::readdir(list)) {
        const int fd = entry->d_name[0] == '.' ? -1 : std::atoi(entry->d_name);
        if (fd > 2 && fd != ::dirfd(list) && std::ranges::find(with.keep, fd) == with.keep.end()) open.push_back(fd);
    }
    ::closedir(list);
    for (const int fd : open) {
        if (const int code = flags.set(fd, true); code != 0 && code != EBADF) return code;
    }
    return 0;
}

class Mask {
  public:
    explicit Mask(bool reset) : reset_(reset) {
        if (reset_) change(0, &former_);
    }
    ~Mask() {
        if (reset_) change(former_, nullptr);
    }
    Mask(const Mask&) = delete;
    Mask& operator=(const Mask&) = delete;

  private:
    static void change(std::uint64_t mask, std::uint64_t* former) {
        raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, reinterpret_cast<long>(&mask), reinterpret_cast<long>(former),
                    sizeof mask);
    }
    bool reset_;
    std::uint64_t former_ = 0;
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
    if (with.path.find('\0') != std::string::npos) return replace_error(with, "path with a NUL", EINVAL);
    // Linux would make an argv of one empty string out of it (5.18), or run without argv[0] (before).
    if (with.argv.empty()) return replace_error(with, "argv without argv[0]", EINVAL);
    if (!add_strings(with.argv, argv)) return replace_error(with, "argv with a NUL", EINVAL);
    if (!add_strings(with.env, env)) return replace_error(with, "env with a NUL", EINVAL);

    const Replacing held_off;
    Flags flags;
    for (const int fd : with.keep) {
        if (const int code = with.keep_is_marked ? flags.clear_marked(fd) : flags.set(fd, false); code != 0) {
            return replace_error(with, "keep descriptor " + std::to_string(fd), code);
        }
    }
    if (with.keep_only) {
        if (const int code = mark_others(with, flags); code != 0) return replace_error(with, "other descriptors", code);
    }
    const OriginalNofile original;
    const Mask mask(with.reset_mask);
    if (with.fd < 0) {
        ::execve(with.path.c_str(), argv.data(), env.data());
    } else {
        ::syscall(SYS_execveat, with.fd, "", argv.data(), env.data(), AT_EMPTY_PATH);
    }
    return replace_error(with, "", errno);
}

int replace_at_once(int fd, char* const* argv, char* const* env) noexcept {
    ::syscall(SYS_execveat, fd, "", argv, env, AT_EMPTY_PATH);
    return errno;
}

} // namespace keep::exec
