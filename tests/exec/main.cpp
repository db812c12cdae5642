// The tests' main: what the library keeps for good (a descriptor of /dev/null, its verdict on this kernel) is brought
// about before the first test, so that each test can compare what it left behind exactly.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <csignal>
#include <cstdio>
#include <system_error>
#include <thread>

#include <keep/exec.hpp>

int main(int argc, char** argv) {
    for (int signal = 1; signal < 65; ++signal) { // who starts us in the background has some ignored
        struct sigaction now{};
        if (::sigaction(signal, nullptr, &now) == 0 && now.sa_handler == SIG_IGN) ::signal(signal, SIG_DFL);
    }
    if (auto result = keep::exec::command("true").run(); !result) {
        std::fprintf(stderr, "no command runs at all: %s\n", result.error().message().c_str());
        return 1;
    }
    (void)keep::exec::reserve_descriptors();
    try {
        std::thread([] {}).join();       // ThreadSanitizer starts one of its own with the first
    } catch (const std::system_error&) { // under a filter that a test has put around this program
    }
    return doctest::Context(argc, argv).run();
}
