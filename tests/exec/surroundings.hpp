// What a test changes around the library for its own duration (variables, the current directory, a limit), files that
// it needs, and a process of its own for what cannot be taken back: another user, a mount, a filter of system calls.
#pragma once

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <initializer_list>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <optional>
#include <string>
#include <string_view>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "tests/lib/temporary_directory.hpp"

namespace keep::test {

// An environment variable of this process; no value: unset.
class Variable {
  public:
    Variable(std::string name, const std::optional<std::string>& value) : name_(std::move(name)) {
        if (const char* former = std::getenv(name_.c_str())) former_ = former;
        put(value);
    }
    ~Variable() { put(former_); }
    Variable(const Variable&) = delete;
    Variable& operator=(const Variable&) = delete;

  private:
    void put(const std::optional<std::string>& value) const {
        if (value) {
            ::setenv(name_.c_str(), value->c_str(), 1);
        } else {
            ::unsetenv(name_.c_str());
        }
    }
    std::string name_;
    std::optional<std::string> former_;
};

// The current directory of this process.
class InDirectory {
  public:
    explicit InDirectory(const std::string& directory) : former_(std::filesystem::current_path()) {
        std::filesystem::current_path(directory);
    }
    ~InDirectory() {
        std::error_code ignored;
        std::filesystem::current_path(former_, ignored);
    }
    InDirectory(const InDirectory&) = delete;
    InDirectory& operator=(const InDirectory&) = delete;

  private:
    std::filesystem::path former_;
};

// No further descriptor can be opened; those that are open go on working.
class NoDescriptorLeft {
  public:
    NoDescriptorLeft() {
        REQUIRE(::getrlimit(RLIMIT_NOFILE, &former_) == 0);
        const rlimit none{0, former_.rlim_max};
        REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    }
    ~NoDescriptorLeft() { ::setrlimit(RLIMIT_NOFILE, &former_); }
    NoDescriptorLeft(const NoDescriptorLeft&) = delete;
    NoDescriptorLeft& operator=(const NoDescriptorLeft&) = delete;

  private:
    rlimit former_{};
};

// Makes a file and returns its path.
inline std::string make_file(const std::string& path, std::string_view content, mode_t mode) {
    const int fd = ::open(path.c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
    REQUIRE_MESSAGE(fd >= 0, path);
    const bool made =
        ::write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size()) && ::fchmod(fd, mode) == 0;
    ::close(fd);
    REQUIRE_MESSAGE(made, path);
    return path;
}

// A program that does nothing but exit with this code.
inline std::string make_program(const std::string& path, int code = 0) {
    return make_file(path, "#!/bin/sh\nexit " + std::to_string(code) + "\n", 0755);
}

// The same directory without symbolic links in its name, as getcwd(3) tells it.
inline std::string physical(const TemporaryDirectory& directory) {
    return std::filesystem::canonical(directory.path()).string();
}

// What body() returns, called in a forked copy of this process that ends by _exit(2). 98: it threw, as a failed REQUIRE
// does. 1000 and more: the signal that ended it.
template <typename Body>
int in_forked_child(const Body& body) {
    std::fflush(stdout); // or a child whose _exit flushes, as the thread sanitizer's does, says it again
    const pid_t child = ::fork();
    if (child == 0) {
        int code = 98;
        try {
            code = body();
        } catch (...) { // the tests must not go on in here
        }
        ::_exit(code);
    }
    REQUIRE(child > 0);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

// For forked children, whose exit code is all they can say: 0, or the place of the first expectation that does not
// hold, counted from 1.
inline int first_unmet(std::initializer_list<bool> expectations) {
    int place = 1;
    for (const bool met : expectations) {
        if (!met) return place;
        ++place;
    }
    return 0;
}

// From here on these system calls of this *thread* and of its children get `verdict` (SECCOMP_RET_*); it cannot be
// taken back, so only a forked child or a thread that soon ends may ask for it. Returns -1 if the kernel refuses; the
// listener's descriptor with SECCOMP_FILTER_FLAG_NEW_LISTENER; else 0.
inline int filter_system_calls(const std::vector<unsigned>& numbers, std::uint32_t verdict, unsigned flags = 0) {
    std::vector<sock_filter> program{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
    for (const unsigned number : numbers) {
        program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1));
        program.push_back(BPF_STMT(BPF_RET | BPF_K, verdict));
    }
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
    return static_cast<int>(::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &filter));
}

// Each of the calls that make a process fails with EPERM from here on.
inline bool forbid_new_processes() {
    std::vector<unsigned> numbers{SYS_clone, SYS_clone3};
#ifdef SYS_fork
    numbers.insert(numbers.end(), {SYS_fork, SYS_vfork});
#endif
    return filter_system_calls(numbers, SECCOMP_RET_ERRNO | EPERM) == 0;
}

} // namespace keep::test
