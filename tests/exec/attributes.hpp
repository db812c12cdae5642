// What the tests of a child's attributes share: a program that tells what it was given (attributes_helper.cpp), forked
// processes that may change what they like of themselves, and system calls that fail as they are told.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/exec/support.hpp"

namespace keep::test {

inline constexpr uid_t stranger = 61234; // a user and a group that nothing belongs to

using Report = std::map<std::string, std::string>; // attributes_helper.cpp's mode `report`

std::string attributes_helper();
exec::SpawnSpec attributes_spec(std::string_view mode = "report", std::vector<std::string> args = {});
// The same program as a descriptor, for SpawnSpec::exec_fd: it may lie where only root may look.
Fd attributes_image();

// Starts, waits for exit 0, and reads what it said.
Report report_of(exec::SpawnSpec spec);

// Fails the test unless the start fails at this step with this errno. That its child has been reaped is EXEC_TEST's to
// see.
void check_fails(const exec::SpawnSpec& spec, exec::Step step, int error_number);
// "chdir 2", or "started": then it has been waited for.
std::string outcome_of(const exec::SpawnSpec& spec);

// Runs `body` in a forked process and collects what that, its children and what it becomes write to their standard
// output. It ends with 0 after `body`; by SIGALRM where `body` hangs. No doctest macro in `body`: nobody would count
// it.
Ran in_fork(const std::function<void()>& body);
// For `body`: a line to standard output.
void say(std::string_view line);
// For `body`: starts it with our standard output and waits, or says "failed:\tchdir 2".
void start_here(exec::SpawnSpec spec);
// in_fork(`before`, then start_here(spec)), read.
Report report_from_fork(const std::function<void()>& before, const exec::SpawnSpec& spec);
// For `body`: an ordinary process of the user `stranger` from now on, without capabilities.
void become_stranger();

// A system call to fail; where `argument` is >= 0, only when that argument (its low 32 bits) is `value`.
struct RefusedCall {
    long number = -1;
    int argument = -1;
    unsigned value = 0;
    int error_number = 0;
};
// For `body`: fails these from now on, here and in all children (a seccomp filter).
void refuse_calls(const std::vector<RefusedCall>& refusals);

// A terminal of our own; nobody's controlling terminal as yet.
struct Pty {
    Fd master;
    Fd slave;
    explicit operator bool() const { return static_cast<bool>(slave); } // says so where there is none
};
Pty open_pty();

} // namespace keep::test
