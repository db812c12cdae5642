// What the tests of the exec library share: the helper program that commands run, and a guard that finds what a test
// left behind.
#pragma once

#include <doctest/doctest.h>

#include <keep/exec.hpp>

#include <initializer_list>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace keep::test {

// What this process holds: compared before and after each test.
struct Holdings {
    std::map<int, std::string> descriptors; // number -> what /proc/self/fd shows
    int threads = 0;
    std::set<int> children; // of any state: a zombie is a child that nobody waited for
    bool operator==(const Holdings&) const = default;
};
Holdings holdings();
std::string to_string(const Holdings& holdings);

// Runs `body`, and fails the test if it left a descriptor, a thread or a child behind. Threads that are just ending are
// awaited for a while. What the library keeps for good after its first use is there before the first test (main.cpp).
void leaving_nothing(void (*body)());

// A test case of the exec library: TEST_CASE, and the guard around it.
#define EXEC_TEST_NAMED(function, name)                                                                                \
    static void function();                                                                                            \
    TEST_CASE(name) {                                                                                                  \
        keep::test::leaving_nothing(&function);                                                                        \
    }                                                                                                                  \
    static void function()
#define EXEC_TEST(name) EXEC_TEST_NAMED(DOCTEST_ANONYMOUS(exec_test_body_), name)

// The helper program (helper.cpp): modes echo, echoenv, cat, ...
std::string helper_path();
exec::Cmd helper(std::string_view mode, std::vector<std::string> args = {});
exec::Cmd helper(exec::Context context, std::string_view mode, std::vector<std::string> args = {});
exec::SpawnSpec helper_spec(std::string_view mode, std::vector<std::string> args = {}); // layer 1, environment empty

// Layer 1, run to its end with the standard output captured. Fails the test if it does not start.
struct Ran {
    std::string output;
    exec::ProcessState state;
};
Ran run(exec::SpawnSpec spec);

// "Key:\tvalue" lines of /proc/self/status as the helper's mode `status` prints them.
std::map<std::string, std::string> status_fields(std::string_view text);

// The whole text of a file of /proc; fails the test if there is none.
std::string read_text(const std::string& path);

bool is_root(); // says so where a test is skipped for want of it

} // namespace keep::test
