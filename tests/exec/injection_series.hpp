// One way to start a program, tried again and again: the n-th system call fails, for all n that it has.
#pragma once

#include <string>

namespace keep::test {

// How a start ended, run to the end of the program. Made in the thread under test.
struct Outcome {
    enum class Kind {
        success,
        error, // the library returned an Error
        wrong  // what must never be: a success with the wrong output, an error that cannot be
    };
    Kind kind = Kind::success;
    std::string text;     // why it is not a success
    int error_number = 0; // of an error

    static Outcome wrong(std::string text) { return {Kind::wrong, std::move(text), 0}; }
};
using Start = Outcome (*)();

enum class Clone3 { there, refused }; // refused: with ENOSYS, and the ladder takes its other rungs

// For n from 1 until the start has fewer than n calls: runs it with `code` as the answer to its n-th call, in a process
// of its own. Fails the test if
//   it neither succeeds nor returns an error, or hangs, or throws (but std::bad_alloc when a memory call failed);
//   EINTR is not retried where that is legal;
//   it leaves a descriptor, a thread, a child of any state or another signal mask;
//   a second start, undisturbed, does not succeed.
void survives(int code, Start start, Clone3 clone3 = Clone3::there);

} // namespace keep::test
