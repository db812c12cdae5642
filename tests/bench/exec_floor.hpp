// The least that a start can be: clone3(CLONE_VM | CLONE_VFORK | CLONE_PIDFD), execve, waitid(P_PIDFD), close. The exec
// library is measured beside it.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <sys/types.h>
#include <vector>

namespace keep::bench {

constexpr std::array<int, 3> inherited{0, 1, 2};

// One program, started again and again by one thread. The environment is the process's.
class Floor {
  public:
    explicit Floor(std::string program, std::vector<std::string> arguments = {});
    ~Floor();
    Floor(const Floor&) = delete;
    Floor& operator=(const Floor&) = delete;

    struct Started {
        pid_t pid = 0;
        int pidfd = -1;
    };
    Started start(bool with_pidfd, std::array<int, 3> stdio = inherited) const;
    // Exits unless the program ended with 0.
    static void wait(const Started& started);

    // Both: with a pidfd, or as vfork does it, without.
    void run(bool with_pidfd) const { wait(start(with_pidfd)); }

  private:
    std::vector<std::string> words_;
    std::vector<char*> argv_;
    void* stack_ = nullptr;
};

// A pipe, close-on-exec.
struct Pipe {
    Pipe();
    int read;
    int write;
};

// Captured output: bytes of malloc(3), which the caller frees.
struct Captured {
    char* bytes = nullptr;
    std::size_t size = 0;
};

// The loops that capture: the program has /dev/null as its standard input and pipes for the other two.
//   plain  a usual pipe, 64 KiB at a time, into a block that realloc(3) doubles
//   fast   the quickest that was found: a pipe and reads of 1 MiB, and each MiB of the block made present just before
//   it
//          is read into (MADV_POPULATE_WRITE): the kernel then does not fault on every page in the middle of a copy
enum class Loop { plain, fast };
Captured capture(const Floor& floor, Loop loop);

} // namespace keep::bench
