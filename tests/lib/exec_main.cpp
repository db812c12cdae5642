#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <unistd.h>

#include "lib/sys/signals.hpp"
#include "tests/lib/exec_victim.hpp"

// A sanitizer that a victim carries within would lower its core limit before the victim can tell of it.
extern "C" const char* __asan_default_options(); // read by clang's and g++'s AddressSanitizer, by no one else
extern "C" const char* __asan_default_options() {
    return "disable_coredump=0";
}

int main(int argc, char** argv) {
    // A victim leaves without exit handlers: a sanitizer's last check wants threads, which some victims may not have.
    if (const auto code = keep::test::play_victim(argc, argv)) ::_exit(*code);
    (void)keep::sys::reset_ignored_signals(); // who starts us in the background has some ignored
    (void)keep::exec::reserve_descriptors();  // kept for good: there before a test compares
    return doctest::Context(argc, argv).run();
}
