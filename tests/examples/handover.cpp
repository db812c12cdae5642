// A launcher that replaces itself with a newer version of itself while its child runs on:
//
//     handover [NEW_BINARY]
//
// What must survive is a running child, whose output nobody wants to lose, and what the launcher knows: here a counter.
// replace() keeps the pid and the children; descriptors carry the rest. The new version proves that the child is its
// own by waiting for it, which a process can do for its children alone.
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <iostream>
#include <string>
#include <sys/mman.h>
#include <unistd.h>

#include <keep/exec.hpp>

namespace exec = keep::exec;
using keep::Fd;

namespace {

// All that a version hands to the next. A memfd holds it: nothing of the memory survives. Plain data, since another
// binary reads it.
struct State {
    int version = 1; // the counter
    pid_t child = 0;
    int childs_pidfd = -1;
    int childs_input = -1; // the write end of the pipe that the child reads
};

struct Launcher {
    Fd memory; // the memfd
    exec::Process child;
    Fd childs_input;
    int version = 1;
};

int fail(const std::string& message) {
    std::cerr << "handover: " << message << '\n';
    return 1;
}

std::ostream& say(const Launcher& launcher) {
    return std::cout << "version " << launcher.version << ", pid " << ::getpid() << ": ";
}

// The first version: starts a child that lives until its standard input ends.
exec::Result<Launcher> begin() {
    Launcher launcher;
    launcher.memory = Fd::adopt(::memfd_create("handover", MFD_CLOEXEC));
    int ends[2];
    if (!launcher.memory || ::pipe2(ends, O_CLOEXEC) != 0)
        return std::unexpected(exec::Error(std::error_code(errno, std::generic_category())));
    const Fd read = Fd::adopt(ends[0]);
    launcher.childs_input = Fd::adopt(ends[1]);

    exec::SpawnSpec spec;
    spec.path = "/bin/sh";
    spec.argv = {"sh", "-c", "cat; exit 7"};
    spec.stdio = {read.get(), 1, 2};
    auto child = exec::spawn(spec);
    if (!child) return std::unexpected(child.error());
    launcher.child = std::move(*child);
    return launcher;
}

// A later version: finds everything by the number of the memfd, which is its argument.
exec::Result<Launcher> resume(int memory) {
    Launcher launcher;
    launcher.memory = Fd::adopt(memory);
    State state;
    if (::pread(memory, &state, sizeof state, 0) != sizeof state)
        return std::unexpected(exec::Error(std::make_error_code(std::errc::bad_message), "no state handed over"));
    launcher.version = state.version + 1;
    launcher.child = exec::Process::adopt(state.child, state.childs_pidfd);
    launcher.childs_input = Fd::adopt(state.childs_input);
    return launcher;
}

// Becomes `binary`. Comes back with the reason if that fails: then everything is as it was, and this version goes on.
exec::Error hand_over(const Launcher& launcher, const std::string& binary) {
    const int memory = launcher.memory.get();
    const State state{launcher.version, launcher.child.pid(), launcher.child.pidfd(), launcher.childs_input.get()};
    if (::pwrite(memory, &state, sizeof state, 0) != sizeof state)
        return exec::Error(std::error_code(errno, std::generic_category()));

    exec::Replacement with;
    with.path = binary;
    with.argv = {binary, "--resume", std::to_string(memory)};
    for (char** variable = environ; *variable != nullptr; ++variable)
        with.env.emplace_back(*variable);
    // Every descriptor is close-on-exec, as it should be; these three are not for this once.
    with.keep = {memory, state.childs_pidfd, state.childs_input};
    std::cout.flush(); // what is still in a buffer would be lost
    return exec::replace(with);
}

// Speaks to the child, lets it end, and waits for it.
int finish(Launcher& launcher) {
    std::cout.flush();
    ::dprintf(launcher.childs_input.get(), "child: version %d speaks to me\n", launcher.version);
    launcher.childs_input.reset(); // the end of the child's input
    const auto ended = launcher.child.wait();
    if (!ended) return fail(ended.error().message()); // "no child processes", were it not ours
    say(launcher) << "child " << launcher.child.pid() << " ended: " << ended->to_string() << '\n';
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    const bool resumed = argc == 3 && std::strcmp(argv[1], "--resume") == 0;
    auto launcher = resumed ? resume(std::stoi(argv[2])) : begin();
    if (!launcher) return fail(launcher.error().message());

    if (resumed) {
        say(*launcher) << "took over as " << argv[0] << '\n';
        return finish(*launcher);
    }
    const std::string binary = argc > 1 ? argv[1] : "/proc/self/exe";
    say(*launcher) << "started child " << launcher->child.pid() << ", handing over to " << binary << '\n';
    const exec::Error error = hand_over(*launcher, binary);
    say(*launcher) << "goes on: " << error.message() << '\n';
    finish(*launcher);
    return 1;
}
