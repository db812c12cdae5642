#include "tests/exec/injection_series.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <exception>
#include <new>
#include <set>
#include <sys/syscall.h>

#include "tests/exec/injector.hpp"
#include "tests/exec/injector_calls.hpp"
#include "tests/exec/own_process.hpp"
#include "tests/exec/support.hpp"

namespace keep::test {
namespace {

struct Progress { // kept when the process dies
    Injected injected;
    bool unsupported = false;
};

Outcome run_guarded(Start start, const Injected& injected) {
    try {
        return start();
    } catch (const std::bad_alloc&) {
        if (is_memory_call(injected.call)) return {Outcome::Kind::error, "std::bad_alloc", ENOMEM};
        return Outcome::wrong("std::bad_alloc, and memory was not refused");
    } catch (const std::exception& thrown) {
        return Outcome::wrong(std::string("thrown: ") + thrown.what());
    }
}

std::string mask_of_thread() {
    sigset_t mask;
    ::pthread_sigmask(SIG_BLOCK, nullptr, &mask);
    std::string text;
    for (int signal = 1; signal < 65; ++signal)
        text += ::sigismember(&mask, signal) == 1 ? '1' : '0';
    return text;
}

// What there is now and was not before; nothing if all is as it was. Less is not left behind: the library may have
// given up a number that it had reserved.
std::string left_behind(const Holdings& after, const Holdings& before) {
    std::string text;
    for (const auto& [number, target] : after.descriptors) {
        const auto found = before.descriptors.find(number);
        if (found == before.descriptors.end() || found->second != target)
            text += "; descriptor " + std::to_string(number) + "=" + target;
    }
    for (const int pid : after.children) {
        if (!before.children.contains(pid)) text += "; child " + std::to_string(pid);
    }
    if (after.threads > before.threads) text += "; " + std::to_string(after.threads - before.threads) + " threads";
    return text;
}

void note_what_is_left(Notes& notes, Injector& injector, const Holdings& before) {
    std::string left;
    const bool clean = comes_true([&] {
        injector.let_others_go_on();
        left = left_behind(holdings(), before);
        return left.empty();
    });
    if (!clean) notes.line("left behind" + left);
}

void note_outcome(Notes& notes, const Outcome& outcome, const Fault& fault, const Injected& injected) {
    if (outcome.kind == Outcome::Kind::success) return;
    if (outcome.kind == Outcome::Kind::wrong || injected.call < 0) return notes.line(outcome.text);
    if (fault.code == EINTR && is_retried(injected.call) && !injected.blocked)
        notes.line("not called again: " + outcome.text);
}

// One attempt, and another one that nothing disturbs.
void attempt(Notes& notes, Start start, const Fault& fault, Progress& progress) {
    Outcome disturbed;
    Outcome undisturbed;
    bool mask_kept = true;
    Injector injector([&] {
        const std::string mask = mask_of_thread();
        Injector::mark();
        disturbed = run_guarded(start, progress.injected);
        mask_kept = mask_of_thread() == mask;
        Injector::mark();
        undisturbed = run_guarded(start, Injected{});
        Injector::mark();
    });
    progress.unsupported = !injector.supported();
    if (progress.unsupported) return;
    Injected ignored;
    injector.go_on({}, ignored);
    const Holdings before = holdings();
    injector.go_on(fault, progress.injected);
    note_outcome(notes, disturbed, fault, progress.injected);
    if (!mask_kept) notes.line("the thread's signal mask has changed");
    note_what_is_left(notes, injector, before);
    injector.go_on({.refuse_clone3 = fault.refuse_clone3}, ignored);
    if (undisturbed.kind != Outcome::Kind::success) notes.line("the next start fails: " + undisturbed.text);
    note_what_is_left(notes, injector, before);
}

const char* name_of(Caller caller) {
    switch (caller) {
    case Caller::body: return "the starting thread";
    case Caller::thread: return "a thread of the library";
    case Caller::child: return "the child";
    }
    return "";
}

std::string describe(const Fault& fault, const Injected& injected) {
    std::string text = std::string(::strerrorname_np(fault.code)) + " for call " + std::to_string(fault.at) + " of " +
                       name_of(fault.caller);
    if (injected.call >= 0) text += ", " + call_name(injected.call);
    return text;
}

// For each call that this caller makes; false where none can be supervised. `met`: the numbers of the calls.
bool go_through(Start start, Fault fault, std::set<long>& met) {
    constexpr int most = 1000; // calls of one start: far more than there can be
    // How often a thread has to wait varies, and with that the number of calls: the end is believed when it comes
    // twice.
    for (int ends = 0; ends < 2; ++fault.at) {
        const Shared<Progress> progress;
        const Aftermath aftermath = in_own_process([&](Notes& notes) { attempt(notes, start, fault, *progress); });
        if (progress->unsupported) return false;
        const std::string faults = aftermath.faults();
        CHECK_MESSAGE(faults.empty(), describe(fault, progress->injected) << ": " << faults);
        if (progress->injected.call < 0) {
            ++ends;
        } else {
            met.insert(progress->injected.call);
        }
        REQUIRE(fault.at < most);
    }
    return true;
}

} // namespace

void survives(int code, Start start, Clone3 clone3) {
    std::set<long> met;
    for (const Caller caller : {Caller::body, Caller::thread, Caller::child}) {
        const Fault fault{code, caller, 1, clone3 == Clone3::refused};
        if (go_through(start, fault, met)) continue;
        MESSAGE("skipped: no system call can be handed to a supervisor here");
        return;
    }
    // Were these not among them, calls would pass us by.
    CHECK(met.contains(clone3 == Clone3::refused ? SYS_clone : SYS_clone3));
    CHECK(met.contains(SYS_execve) + met.contains(SYS_execveat) == 1);
}

} // namespace keep::test
