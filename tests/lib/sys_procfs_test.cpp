#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <sys/wait.h>
#include <unistd.h>

#include <keep/exec/spawn.hpp>

#include "lib/sys/pidfd.hpp"
#include "lib/sys/process.hpp"
#include "lib/sys/procfs.hpp"

using namespace keep;

namespace {

// A shell with one child, both waiting on stdin's end.
exec::SpawnSpec shell(const std::string& script, int standard_input) {
    exec::SpawnSpec spec;
    spec.path = "/bin/sh";
    spec.argv = {"sh", "-c", script};
    spec.env = {"PATH=/usr/bin:/bin"};
    spec.stdio[0] = standard_input;
    return spec;
}

constexpr std::string_view rest =
    " S 7 8 9 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 123456789 1000 200 18446744073709551615";

} // namespace

TEST_CASE("a stat line is read by its fields") {
    const auto stat = sys::parse_process_stat("42 (cat)" + std::string(rest) + "\n");
    REQUIRE(stat);
    CHECK(*stat == sys::ProcessStat{42, "cat", 'S', 7, 8, 9, 123456789});
}

TEST_CASE("a hostile name cannot forge the fields behind it") {
    for (const std::string comm : {"a b", "a) R 1 1 1", ") (", "(", ")", "", "x) Z 0 0 0 0", "new\nline"}) {
        CAPTURE(comm);
        const auto stat = sys::parse_process_stat("42 (" + comm + ")" + std::string(rest));
        REQUIRE(stat);
        CHECK(stat->comm == comm);
        CHECK(stat->state == 'S');
        CHECK(stat->parent == 7);
        CHECK(stat->start_ticks == 123456789);
    }
}

TEST_CASE("a stat line that is cut or of another form is refused") {
    const std::string whole = "42 (cat)" + std::string(rest);
    CHECK(sys::parse_process_stat(whole.substr(0, whole.find("123456789") + 9)));
    for (std::size_t length = 0; length < whole.find("123456789"); ++length) {
        CAPTURE(length);
        CHECK_FALSE(sys::parse_process_stat(whole.substr(0, length)));
    }
    CHECK_FALSE(sys::parse_process_stat("x (cat)" + std::string(rest)));
    CHECK_FALSE(sys::parse_process_stat(") 42 ("));
}

TEST_CASE("our own stat tells who we are") {
    const auto stat = sys::process_stat(::getpid());
    REQUIRE(stat);
    CHECK(stat->pid == ::getpid());
    CHECK(stat->parent == ::getppid());
    CHECK(stat->group == ::getpgid(0));
    CHECK(stat->session == ::getsid(0));
    CHECK(stat->start_ticks > 0);
    CHECK_FALSE(sys::process_stat(0x7fffffff));
}

TEST_CASE("children and descendants are found") {
    auto ends = sys::pipe();
    REQUIRE(ends);
    auto output = sys::pipe();
    REQUIRE(output);
    auto spec = shell("{ cat; echo >/dev/null; } & echo ready; wait", ends->read.get());
    spec.argv[2] = "exec 3<&0; (cat <&3; :) & echo ready; wait";
    spec.stdio[1] = output->write.get();
    auto process = exec::spawn(spec);
    REQUIRE(process);
    char byte = 0;
    REQUIRE(::read(output->read.get(), &byte, 1) == 1);
    const auto mine = sys::children_of(::getpid());
    REQUIRE(mine);
    CHECK(std::ranges::find(*mine, process->pid()) != mine->end());
    const auto below = sys::descendants_of(process->pid());
    REQUIRE(below);
    CHECK(below->size() >= 1);
    for (const pid_t pid : *below)
        CHECK(sys::process_stat(pid)->session == ::getsid(0));
    const auto all = sys::descendants_of(::getpid());
    CHECK(std::ranges::find(*all, below->front()) != all->end());
    ends->write.reset();
    CHECK(process->wait());
    CHECK_FALSE(sys::children_of(process->pid()));
}

TEST_CASE("a child's end can be looked at without reaping, then reaped once") {
    auto process = exec::spawn(shell("exit 3", -1));
    REQUIRE(process);
    siginfo_t info{};
    REQUIRE(::waitid(P_PID, static_cast<id_t>(process->pid()), &info, WEXITED | WNOWAIT) == 0);
    for (int twice = 0; twice < 2; ++twice) {
        const auto seen = sys::peek_exit(process->pidfd());
        REQUIRE((seen && *seen));
        CHECK((*seen)->pid == process->pid());
        CHECK((*seen)->status == ExitStatus::exited(3));
    }
    const auto any = sys::peek_any_exit();
    REQUIRE((any && *any));
    CHECK((*any)->pid == process->pid());
    const auto reaped = sys::reap(process->pidfd());
    REQUIRE((reaped && *reaped));
    CHECK((*reaped)->status == ExitStatus::exited(3));
    CHECK((*reaped)->usage.max_rss_kib > 0);
    CHECK(sys::reap(process->pidfd()).error().code == ECHILD);
    CHECK_FALSE(sys::reap_any()->has_value()); // no children at all is "none", not an error
}

TEST_CASE("a child that runs has not ended") {
    auto ends = sys::pipe();
    REQUIRE(ends);
    auto process = exec::spawn(shell("read line", ends->read.get()));
    REQUIRE(process);
    CHECK_FALSE(sys::peek_exit(process->pidfd())->has_value());
    CHECK_FALSE(sys::reap(process->pidfd())->has_value());
    CHECK_FALSE(sys::reap_any()->has_value());
    REQUIRE(sys::pidfd_send_signal(process->pidfd(), SIGKILL));
    CHECK(sys::reap_blocking(process->pidfd())->status == ExitStatus::signaled(SIGKILL));
    CHECK(sys::pidfd_send_signal(process->pidfd(), SIGKILL).error().code == ESRCH);
}

TEST_CASE("a process is told from every other one by the inode of its pidfds, where the kernel has them") {
    auto wait = sys::pipe();
    REQUIRE(wait);
    const auto one = exec::spawn(shell("read line", wait->read.get()));
    const auto other = exec::spawn(shell("read line", wait->read.get()));
    REQUIRE(one);
    REQUIRE(other);
    const auto again = sys::pidfd_open(one->pid());
    REQUIRE(again);
    const auto inode = sys::process_inode(one->pidfd());
    CHECK(sys::process_inode(again->get()) == inode);
    if (inode != 0) CHECK(sys::process_inode(other->pidfd()) != inode);
    CHECK(sys::process_inode(wait->read.get()) == 0); // of no process
    wait->write.reset();
    (void)sys::reap_blocking(one->pidfd());
    (void)sys::reap_blocking(other->pidfd());
}

TEST_CASE("our own attributes are read and set") {
    CHECK(sys::executable_path()->find("test-sys") != std::string::npos);
    CHECK(sys::read_link("/proc/self/nothing").error().code == ENOENT);
    CHECK(sys::nice_value());
    CHECK(sys::oom_score_adjust());
    const auto files = sys::get_limit(RLIMIT_NOFILE);
    REQUIRE(files);
    REQUIRE(sys::set_limit(RLIMIT_NOFILE, {files->rlim_cur - 1, files->rlim_max}));
    CHECK(sys::get_limit(RLIMIT_NOFILE)->rlim_cur == files->rlim_cur - 1);
    CHECK(sys::set_limit(RLIMIT_NOFILE, *files));
    CHECK(sys::get_limit(999).error().code == EINVAL);
    REQUIRE(sys::set_child_subreaper(true));
    CHECK(sys::is_child_subreaper() == true);
    REQUIRE(sys::set_child_subreaper(false));
    CHECK(sys::is_child_subreaper() == false);
}
