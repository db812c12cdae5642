#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <unistd.h>

#include "tests/lib/exec_victim.hpp"

int main(int argc, char** argv) {
    // A victim leaves without exit handlers: a sanitizer's last check wants threads, which some victims may not have.
    if (const auto code = keep::test::play_victim(argc, argv)) ::_exit(*code);
    return doctest::Context(argc, argv).run();
}
