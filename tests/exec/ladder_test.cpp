// Old kernels, containers and emulators: with calls refused, everything works as it does without.
//
// Each case starts this program again under a filter, so that what it has found out about this kernel does not count,
// and runs the test cases there that are skipped otherwise.
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <system_error>
#include <thread>
#include <unistd.h>

#include "tests/exec/own_process.hpp"
#include "tests/exec/refusal.hpp"
#include "tests/exec/support.hpp"

using namespace keep;
using namespace keep::test;

namespace {

constexpr unsigned close_range_unshare = 2;
constexpr unsigned close_range_cloexec = 4;

// Runs the skipped test cases whose names match, under the filter.
void under_filter(const std::vector<Refusal>& refusals, const char* cases = "filtered: *") {
    const Aftermath aftermath = in_own_process(
        [&](Notes& notes) {
            if (!refuse(refusals)) return notes.line("no filter can be set");
            const std::string filter = std::string("--test-case=") + cases;
            ::execl("/proc/self/exe", "test-exec", "--no-skip", "--minimal", filter.c_str(), nullptr);
            notes.line("this program does not start again");
        },
        std::chrono::seconds(30));
    CHECK(aftermath.faults() == "");
}

std::string numbers(const std::string& described) {
    std::string text;
    std::istringstream lines(described);
    for (std::string word, line; std::getline(lines, line);)
        text += (text.empty() ? "" : " ") + line.substr(3, line.find(' ', 3) - 3);
    return text;
}

bool user_namespaces_work() {
    exec::SpawnSpec spec = helper_spec("exit", {"0"});
    spec.sys.clone_flags = CLONE_NEWUSER;
    auto process = exec::spawn(spec);
    if (process) return process->wait().has_value();
    MESSAGE("skipped: " << process.error().message());
    return false;
}

std::string first_line(int fd) {
    std::string line;
    pollfd more{fd, POLLIN, 0};
    for (char byte = 0; ::poll(&more, 1, -1) > 0 && ::read(fd, &byte, 1) == 1 && byte != '\n';)
        line += byte;
    return line;
}

// The C library knows but one error of clone3, ENOSYS, after which it makes a thread by clone.
bool threads_can_be_made() {
    try {
        std::thread([] {}).join();
        return true;
    } catch (const std::system_error& thrown) {
        MESSAGE("no thread can be made: " << std::string(thrown.what()));
        return false;
    }
}

} // namespace

EXEC_TEST("filtered: a command with three streams runs" * doctest::skip()) {
    std::string output;
    std::string errors;
    exec::Cmd command = helper("pipetest");
    command.in = exec::Source::bytes("O:one\nE:two\n");
    command.out = exec::Sink::buffer(output);
    command.err = exec::Sink::buffer(errors);
    if (threads_can_be_made()) {
        REQUIRE(command.start());
        CHECK(command.wait());
    } else {
        CHECK(command.run());
    }
    CHECK(output == "O:one\n");
    CHECK(errors == "E:two\n");
}

EXEC_TEST("filtered: the child has what it is given and nothing that was leaked" * doctest::skip()) {
    const Fd leaked = Fd::adopt(::open("/dev/zero", O_RDONLY)); // not close-on-exec
    const Fd high = Fd::adopt(::fcntl(leaked.get(), F_DUPFD, 700));
    exec::SpawnSpec spec = helper_spec("describefiles");
    CHECK(numbers(run(spec).output) == "0 1 2");
    spec.extra_fds = {{leaked.get(), 9}, {high.get(), 5}};
    CHECK(numbers(run(spec).output) == "0 1 2 5 9");
}

EXEC_TEST("filtered: another user, and nothing changes for the parent" * doctest::skip()) {
    if (!is_root()) return;
    const Fd image = Fd::adopt(::open(helper_path().c_str(), O_PATH | O_CLOEXEC)); // its folder need not be reached
    exec::SpawnSpec spec = helper_spec("status");
    spec.exec_fd = image.get();
    spec.sys.credential = exec::Credential{61234, 61235, {61236}, false};
    const int dumpable = ::prctl(PR_GET_DUMPABLE);
    auto fields = status_fields(run(spec).output);
    CHECK(fields["Uid"] == "61234\t61234\t61234\t61234");
    CHECK(fields["Gid"] == "61235\t61235\t61235\t61235");
    CHECK(fields["Groups"] == "61236 ");
    CHECK(::prctl(PR_GET_DUMPABLE) == dumpable);
    CHECK(::geteuid() == 0);
}

EXEC_TEST("filtered: a user namespace with id maps" * doctest::skip()) {
    if (!user_namespaces_work()) return;
    exec::SpawnSpec spec = helper_spec("cat", {"/proc/self/uid_map"});
    spec.sys.clone_flags = CLONE_NEWUSER;
    spec.sys.uid_mappings = {{0, ::geteuid(), 1}};
    spec.sys.gid_mappings = {{0, ::getegid(), 1}};
    std::istringstream map(run(spec).output);
    unsigned inside = 1;
    unsigned outside = 1;
    unsigned size = 0;
    map >> inside >> outside >> size;
    CHECK(inside == 0);
    CHECK(outside == ::geteuid());
    CHECK(size == 1);
}

EXEC_TEST("filtered: a start that fails in the child says where, and the child is reaped" * doctest::skip()) {
    exec::SpawnSpec spec = helper_spec("exit", {"0"});
    spec.dir = "/nonesuch";
    auto failed = exec::spawn(spec);
    REQUIRE(!failed);
    CHECK(failed.error().step() == exec::Step::chdir);
    CHECK(failed.error().error_number() == ENOENT);
    spec.dir.clear();
    spec.path = "/nonesuch";
    failed = exec::spawn(spec);
    REQUIRE(!failed);
    CHECK(failed.error().step() == exec::Step::execve);
    CHECK(failed.error().message() == "fork/exec /nonesuch: no such file or directory");
}

EXEC_TEST("filtered: signals reach the child and its group; once it is reaped, nobody" * doctest::skip()) {
    for (const bool group : {false, true}) {
        int ends[2];
        REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
        const Fd read = Fd::adopt(ends[0]);
        Fd write = Fd::adopt(ends[1]);
        exec::SpawnSpec spec = helper_spec("hang");
        spec.stdio[1] = write.get();
        spec.sys.setpgid = true;
        auto process = exec::spawn(spec);
        REQUIRE(process);
        write.reset();
        CHECK(first_line(read.get()) == "ready");
        const auto sent = group ? process->signal_group(SIGTERM) : process->signal(SIGTERM);
        if (!sent) {
            FAIL_CHECK(sent.error().message());
            ::kill(process->pid(), SIGTERM);
        }
        const auto state = process->wait();
        REQUIRE(state);
        CHECK(state->to_string() == "signal: terminated");
        const auto late = process->signal(SIGTERM);
        REQUIRE(!late);
        CHECK(late.error().message() == "os: process already finished");
    }
}

EXEC_TEST("filtered: the end of a context kills the command" * doctest::skip()) {
    // Asked for by the thread that copies, once the command is there.
    std::stop_source stop;
    exec::Cmd command = helper(exec::Context{stop.get_token(), {}}, "hang");
    command.out = exec::Sink::writer([&](std::string_view text) -> exec::Result<> {
        if (text == "ready\n") stop.request_stop();
        return {};
    });
    const auto ended = command.run();
    REQUIRE(!ended);
    CHECK(ended.error().message() == "signal: killed");
}

EXEC_TEST("filtered: a path is executable by what access(2) or its mode says" * doctest::skip()) {
    char folder[] = "/tmp/keep-exec-XXXXXX";
    REQUIRE(::mkdtemp(folder) != nullptr);
    const std::string base = folder;
    for (const char* name : {"yes", "no"})
        ::close(::open((base + "/" + name).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, name[0] == 'y' ? 0755 : 0644));
    const auto yes = exec::look_path("yes", base);
    const auto no = exec::look_path("no", base);
    for (const char* name : {"yes", "no"})
        ::unlink((base + "/" + name).c_str());
    ::rmdir(folder);
    REQUIRE(yes);
    CHECK(*yes == base + "/yes");
    REQUIRE(!no);
    CHECK(no.error().is(exec::Errc::not_found));
}

EXEC_TEST("clone3 only: a time namespace" * doctest::skip()) {
    constexpr std::uint64_t new_time = 0x80; // CLONE_NEWTIME
    exec::SpawnSpec spec = helper_spec("exit", {"0"});
    spec.sys.clone_flags = new_time;
    auto process = exec::spawn(spec);
    if (process) (void)process->wait();
    REQUIRE(!process);
    CHECK(process.error().step() == exec::Step::clone);
}

EXEC_TEST("[go:70] [go:79] [go:123] [go:125] where clone3 is unknown or forbidden, clone takes its place") {
    for (const int code : {ENOSYS, EPERM, EINVAL, E2BIG}) {
        CAPTURE(code);
        under_filter({{SYS_clone3, code}});
    }
}

EXEC_TEST("[go:125] where clone3 is unknown or forbidden, already the first start may have a user namespace") {
    if (!user_namespaces_work()) return;
    for (const int code : {ENOSYS, EPERM, EINVAL, E2BIG}) {
        CAPTURE(code);
        const Aftermath aftermath = in_own_process([&](Notes& notes) {
            if (!refuse({{SYS_clone3, code}})) return notes.line("no filter can be set");
            exec::SpawnSpec spec = helper_spec("exit", {"0"});
            spec.sys.clone_flags = CLONE_NEWUSER;
            auto process = exec::spawn(spec);
            if (!process) return notes.line(process.error().message());
            if (const auto state = process->wait(); !state || !state->success()) notes.line("it has not ended well");
        });
        CHECK(aftermath.faults() == "");
    }
}

EXEC_TEST("[go:131] where clone3 is refused, a time namespace is an error, never left out") {
    for (const int code : {ENOSYS, EPERM, EINVAL}) {
        CAPTURE(code);
        under_filter({{SYS_clone3, code}}, "clone3 only: a time namespace");
    }
}

EXEC_TEST("[go:70] [go:79] [go:123] [go:125] where a child cannot suspend its parent, it reports by other means") {
    // As user-mode emulators have it. Threads do without CLONE_VFORK.
    under_filter({{SYS_clone3, ENOSYS}, {SYS_clone, EINVAL, 0, CLONE_VFORK}});
}

EXEC_TEST("[go:70] [go:125] where clone makes no pidfd either, one is opened afterwards") {
    under_filter({{SYS_clone3, ENOSYS}, {SYS_clone, EINVAL, 0, CLONE_VFORK | CLONE_PIDFD, CLONE_THREAD}});
}

EXEC_TEST("[go:79] [go:81] where close_range or one of its flags is refused, the child is as clean") {
    for (const int code : {ENOSYS, EPERM, EINVAL}) {
        CAPTURE(code);
        under_filter({{SYS_close_range, code}});
        under_filter({{SYS_clone3, code}, {SYS_close_range, code}});
    }
    under_filter({{SYS_close_range, EINVAL, 2, close_range_cloexec}}); // before 5.11
    under_filter({{SYS_close_range, EINVAL, 2, close_range_unshare}});
    under_filter({{SYS_close_range, EINVAL, 2, close_range_cloexec | close_range_unshare}});
}

EXEC_TEST("[go:93] [go:94] where pidfd_send_signal or its flags are refused, signals arrive all the same") {
    for (const int code : {ENOSYS, EPERM}) {
        CAPTURE(code);
        under_filter({{SYS_pidfd_send_signal, code}});
    }
    under_filter({{SYS_pidfd_send_signal, EINVAL, 3, ~0U}}); // before 6.9
}

EXEC_TEST("[go:25] where faccessat2 is refused, the mode decides") {
    for (const int code : {ENOSYS, EPERM}) {
        CAPTURE(code);
        under_filter({{SYS_faccessat2, code}});
    }
}
