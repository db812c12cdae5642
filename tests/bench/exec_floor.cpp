#include "tests/bench/exec_floor.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/exec/clone_stub.hpp"
#include "lib/exec/raw_syscall.hpp"
#include "tests/bench/turns.hpp"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

namespace keep::bench {
namespace {

constexpr std::size_t stack_size = 64 * 1024;
constexpr std::size_t mebibyte = 1 << 20;

struct Job {
    const char* path;
    char* const* argv;
    char* const* envp;
    std::array<int, 3> stdio;
};

int child(void* argument) {
    const Job& job = *static_cast<const Job*>(argument);
    for (int number = 0; number < 3; ++number) {
        const int from = job.stdio[static_cast<std::size_t>(number)];
        if (from != number) exec::raw_syscall(SYS_dup3, from, number, 0);
    }
    exec::raw_syscall(SYS_execve, reinterpret_cast<long>(job.path), reinterpret_cast<long>(job.argv),
                      reinterpret_cast<long>(job.envp));
    exec::raw_syscall(SYS_exit_group, 127);
    return 127;
}

int null_device() {
    static const int fd = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd < 0) die("/dev/null");
    return fd;
}

void make_present(char* bytes, std::size_t size) {
    constexpr std::uintptr_t page = 4096;
    const std::uintptr_t begin = (reinterpret_cast<std::uintptr_t>(bytes) + page - 1) & ~(page - 1);
    const std::uintptr_t end = reinterpret_cast<std::uintptr_t>(bytes + size) & ~(page - 1);
    if (end > begin) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_POPULATE_WRITE);
}

// The block grows by doubling; before each read there is room for `piece` more.
class Block {
  public:
    Block(std::size_t piece, bool populate) : piece_(piece), populate_(populate) {}

    // What read(2) says of the next piece.
    ssize_t read_from(int fd) {
        if (capacity_ - got_.size < piece_) {
            capacity_ = std::max(2 * capacity_, 2 * piece_);
            got_.bytes = static_cast<char*>(std::realloc(got_.bytes, capacity_));
            if (got_.bytes == nullptr) die("realloc");
        }
        if (populate_ && present_ < got_.size + piece_) {
            present_ = std::max(present_, got_.size);
            const std::size_t more = std::min(piece_, capacity_ - present_);
            make_present(got_.bytes + present_, more);
            present_ += more;
        }
        const ssize_t count = ::read(fd, got_.bytes + got_.size, piece_);
        if (count > 0) got_.size += static_cast<std::size_t>(count);
        return count;
    }
    Captured got() const { return got_; }

  private:
    std::size_t piece_;
    bool populate_;
    Captured got_;
    std::size_t capacity_ = 0;
    std::size_t present_ = 0;
};

} // namespace

Floor::Floor(std::string program, std::vector<std::string> arguments) : words_(std::move(arguments)) {
    words_.insert(words_.begin(), std::move(program));
    for (std::string& word : words_)
        argv_.push_back(word.data());
    argv_.push_back(nullptr);
    stack_ = ::mmap(nullptr, stack_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack_ == MAP_FAILED) die("mmap");
}

Floor::~Floor() {
    ::munmap(stack_, stack_size);
}

Floor::Started Floor::start(bool with_pidfd, std::array<int, 3> stdio) const {
    Job job{argv_[0], argv_.data(), environ, stdio};
    Started started;
    clone_args args{};
    args.flags = CLONE_VM | CLONE_VFORK | (with_pidfd ? std::uint64_t{CLONE_PIDFD} : 0);
    args.pidfd = with_pidfd ? reinterpret_cast<std::uintptr_t>(&started.pidfd) : 0;
    args.exit_signal = SIGCHLD;
    args.stack = reinterpret_cast<std::uintptr_t>(stack_);
    args.stack_size = stack_size;
    const long pid = keep_exec_clone3(&args, CLONE_ARGS_SIZE_VER0, child, &job);
    if (pid < 0) {
        errno = static_cast<int>(-pid);
        die("clone3");
    }
    started.pid = static_cast<pid_t>(pid);
    return started;
}

void Floor::wait(const Started& started) {
    siginfo_t info{};
    const int failed = started.pidfd >= 0 ? ::waitid(P_PIDFD, static_cast<id_t>(started.pidfd), &info, WEXITED)
                                          : ::waitid(P_PID, static_cast<id_t>(started.pid), &info, WEXITED);
    if (failed != 0) die("waitid");
    if (started.pidfd >= 0) ::close(started.pidfd);
    if (info.si_code == CLD_EXITED && info.si_status == 0) return;
    std::fprintf(stderr, "the child did not exit with 0\n");
    std::exit(1);
}

Pipe::Pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) die("pipe2");
    read = ends[0];
    write = ends[1];
}

Captured capture(const Floor& floor, Loop loop) {
    const bool fast = loop == Loop::fast;
    const Pipe out;
    const Pipe err;
    ::fcntl(out.read, F_SETFL, O_NONBLOCK);
    ::fcntl(err.read, F_SETFL, O_NONBLOCK);
    if (fast) ::fcntl(out.read, F_SETPIPE_SZ, mebibyte); // refused beyond a user's quota: then it stays as it is
    const Floor::Started started = floor.start(true, {null_device(), out.write, err.write});
    ::close(out.write);
    ::close(err.write);
    constexpr std::size_t usual = 64 * 1024;
    Block block(fast ? mebibyte : usual, fast);
    std::array<char, 4096> errors{};
    std::array<pollfd, 2> watched{pollfd{out.read, POLLIN, 0}, pollfd{err.read, POLLIN, 0}};
    while (watched[0].fd >= 0 || watched[1].fd >= 0) {
        if (::poll(watched.data(), watched.size(), -1) < 0) die("poll");
        if (watched[0].revents != 0) {
            ssize_t count = 0;
            while ((count = block.read_from(out.read)) > 0) {
            }
            if (count == 0) watched[0].fd = -1;
        }
        if (watched[1].revents != 0 && ::read(err.read, errors.data(), errors.size()) <= 0) watched[1].fd = -1;
    }
    ::close(out.read);
    ::close(err.read);
    Floor::wait(started);
    return block.got();
}

} // namespace keep::bench
