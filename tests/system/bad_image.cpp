// A keepd that passes its rehearsal and fails after the exec, before its commit. How and when stands in its file's
// name: keepd-HOW-MILLISECONDS, such as keepd-abort-10.
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

#include "daemon/upgrade/guard.hpp"

int keepd_main(int argc, char** argv);
extern "C" int fleeting();

namespace {

[[noreturn]] void hang() {
    while (true)
        ::pause();
}

[[noreturn]] void eat_memory() {
    // Address space alone, which is what is bound: touching gigabytes would take a slow machine minutes.
    std::vector<std::unique_ptr<char[]>> eaten;
    while (true)
        eaten.push_back(std::make_unique_for_overwrite<char[]>(std::size_t{64} << 20));
}

[[noreturn]] void overflow_stack(volatile char* above) {
    char here[65536];
    std::memset(here, above == nullptr ? 0 : *above, sizeof here);
    overflow_stack(here);
}

void fail(const std::string& how) {
    if (how == "abort") std::abort();
    if (how == "segfault") ::raise(SIGSEGV);
    if (how == "overflow") overflow_stack(nullptr);
    if (how == "trap") ::raise(SIGTRAP);
    if (how == "exit") std::exit(3);
    if (how == "throw") throw std::runtime_error("nobody catches this");
    if (how == "hang") hang();
    if (how == "eat") eat_memory();
}

// The part of our file's name before the last dash and after the one before, and the number behind it.
struct Behaviour {
    std::string how;
    int after_ms = 0;
};

Behaviour behaviour() {
    char path[4096];
    const ssize_t size = ::readlink("/proc/self/exe", path, sizeof path);
    std::string name(path, size > 0 ? static_cast<std::size_t>(size) : 0);
    if (const auto deleted = name.find(" (deleted)"); deleted != std::string::npos) name.erase(deleted);
    const auto last = name.rfind('-');
    const auto before = name.rfind('-', last - 1);
    return {name.substr(before + 1, last - before - 1), std::atoi(name.c_str() + last + 1)};
}

} // namespace

int main(int argc, char** argv) {
    keepd::upgrade::raise_guard(argc, argv);
    const Behaviour mine = behaviour();
    // A call that no keepd makes; where a filter forbids it, this image can't live.
    if (mine.how == "needs_acct" && ::syscall(SYS_acct, "/nowhere") != 0 && errno == EPERM) return 4;
    if (argc > 1 && std::strncmp(argv[1], "--resume=", 9) == 0) {
        ::poll(nullptr, 0, mine.after_ms); // the time is part of the misbehaviour; nobody waits for it
        if (mine.how == "lies") {          // in the rehearsal it read everything
            std::string nothing = "--resume=999";
            std::vector<char*> arguments(argv, argv + argc + 1);
            arguments[1] = nothing.data();
            return keepd_main(argc, arguments.data());
        }
        fail(mine.how);
    }
    return fleeting() + keepd_main(argc, argv);
}
