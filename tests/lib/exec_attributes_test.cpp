#include <doctest/doctest.h>

#include <csignal>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/sys/cgroup.hpp"
#include "lib/sys/fd.hpp"
#include "lib/sys/pidfd.hpp"
#include "lib/sys/process.hpp"
#include "lib/sys/procfs.hpp"
#include "lib/sys/signals.hpp"
#include "tests/lib/exec_victim.hpp"
#include "tests/lib/temporary_directory.hpp"

using namespace keep;
using namespace keep::test;

TEST_CASE("without attributes a child is in our session, group and directory") {
    const Report report = run(victim("report")).report();
    CHECK(report.at("parent") == std::to_string(::getpid()));
    CHECK(report.at("group") == std::to_string(::getpgid(0)));
    CHECK(report.at("session") == std::to_string(::getsid(0)));
    CHECK(report.at("cwd") == sys::read_link("/proc/self/cwd").value());
    CHECK(report.at("nice") == std::to_string(sys::nice_value().value()));
    CHECK(report.at("no_new_privileges") == "0");
}

TEST_CASE("every attribute reaches the child and none the parent, on each rung") {
    const TemporaryDirectory dir;
    const mode_t mask_before = ::umask(0027);
    const int nice_before = sys::nice_value().value();
    const int oom_before = sys::oom_score_adjust().value();
    exec::SpawnSpec spec = victim("report");
    spec.dir = dir.path();
    spec.sys.umask = 0123;
    spec.sys.setsid = true;
    spec.sys.limits = {{RLIMIT_CORE, {0, 4096}}, {RLIMIT_NOFILE, {100, 200}}};
    spec.sys.nice = nice_before + 3;
    spec.sys.oom_score_adjust = 321;
    spec.sys.no_new_privileges = true;
    spec.sys.pdeathsig = SIGUSR1;
    for (const NamedRung& rung : every_rung) {
        CAPTURE(rung.name);
        const Report report = run(spec, rung.rung).report();
        CHECK(report.at("cwd") == dir.path());
        CHECK(report.at("umask") == "0123");
        CHECK(report.at("session") == report.at("pid"));
        CHECK(report.at("group") == report.at("pid"));
        CHECK(report.at("core") == "0 4096");
        CHECK(report.at("nofile") == "100 200");
        CHECK(report.at("nice") == std::to_string(nice_before + 3));
        CHECK(report.at("oom") == "321");
        CHECK(report.at("no_new_privileges") == "1");
        CHECK(report.at("parent_death_signal") == std::to_string(SIGUSR1));
        CHECK(sys::nice_value().value() == nice_before);
        CHECK(sys::oom_score_adjust().value() == oom_before);
        CHECK(::getsid(0) != ::atoi(report.at("pid").c_str()));
        const mode_t now = ::umask(0027);
        CHECK(now == 0027);
    }
    ::umask(mask_before);
}

TEST_CASE("a new group is led by the child, in our session") {
    exec::SpawnSpec spec = victim("report");
    spec.sys.setpgid = true;
    for (const NamedRung& rung : every_rung) {
        CAPTURE(rung.name);
        const Report report = run(spec, rung.rung).report();
        CHECK(report.at("group") == report.at("pid"));
        CHECK(report.at("session") == std::to_string(::getsid(0)));
    }
}

TEST_CASE("a child starts with an empty mask and default dispositions, whatever ours are") {
    const sigset_t former = sys::current_mask();
    struct sigaction user_before{};
    ::sigaction(SIGUSR1, nullptr, &user_before);
    REQUIRE(sys::block(sys::signal_set({SIGTERM, SIGUSR2, SIGRTMIN + 2})));
    for (const int ignored : {SIGPIPE, SIGHUP, SIGRTMIN + 1, SIGRTMAX})
        REQUIRE(sys::ignore_signal(ignored));
    ::signal(SIGUSR1, [](int) {});
    for (const NamedRung& rung : every_rung) {
        CAPTURE(rung.name);
        exec::SpawnSpec spec; // a program without a runtime of its own that would install handlers
        spec.path = "/bin/cat";
        spec.argv = {"cat", "/proc/self/status"};
        spec.sys.signal_mask = 0;
        spec.sys.ignored_signals = exec::IgnoredSignals::reset;
        const std::string status = run(spec, rung.rung).output;
        CHECK(status.find("SigBlk:\t0000000000000000") != std::string::npos);
        CHECK(status.find("SigIgn:\t0000000000000000") != std::string::npos);
        CHECK(status.find("SigCgt:\t0000000000000000") != std::string::npos);
    }
    for (const int ignored : {SIGPIPE, SIGHUP, SIGRTMIN + 1, SIGRTMAX})
        REQUIRE(sys::default_signal(ignored));
    ::sigaction(SIGUSR1, &user_before, nullptr);
    REQUIRE(sys::set_mask(former));
}

TEST_CASE("a library that ignores SIGPIPE without a word does not change our children") {
    exec::SpawnSpec spec;
    spec.path = "/bin/cat";
    spec.argv = {"cat", "/proc/self/status"};
    REQUIRE(run(spec).status.success()); // what is ignored has been found before the library comes
    struct sigaction before{};
    ::sigaction(SIGPIPE, nullptr, &before);
    ::signal(SIGPIPE, SIG_IGN);
    for (const NamedRung& rung : every_rung) {
        CAPTURE(rung.name);
        CHECK(run(spec, rung.rung).output.find("SigIgn:\t0000000000000000") != std::string::npos);
    }
    ::sigaction(SIGPIPE, &before, nullptr);
}

TEST_CASE("a child runs as the user, group and groups given, in every one of its ids") {
    if (!is_root()) return;
    exec::SpawnSpec spec = victim("report");
    spec.sys.credential = exec::Credential{61234, 61235, {61235, 61236}};
    // The program may lie where only root may look: it is opened before the identity changes.
    auto image = sys::open(spec.path, 0);
    REQUIRE(image);
    spec.exec_fd = image->get();
    for (const exec::Rung rung : {exec::Rung::automatic, exec::Rung::private_, exec::Rung::private_classic}) {
        const Report report = run(spec, rung).report();
        CHECK(report.at("uid") == "61234 61234 61234");
        CHECK(report.at("gid") == "61235 61235 61235");
        CHECK(report.at("groups") == "61235 61236");
    }
    spec.sys.credential->groups.clear();
    CHECK(run(spec).report().at("groups").empty()); // none, not root's
}

TEST_CASE("a parent death signal outlives the change of user, and kills when the parent ends") {
    if (!is_root()) return;
    exec::SpawnSpec spec = victim("report");
    auto image = sys::open(spec.path, 0);
    REQUIRE(image);
    spec.exec_fd = image->get();
    spec.sys.credential = exec::Credential{61234, 61234, {}};
    spec.sys.pdeathsig = SIGUSR2;
    CHECK(run(spec).report().at("parent_death_signal") == std::to_string(SIGUSR2));
}

TEST_CASE("a child that is to die with its parent does") {
    REQUIRE(sys::set_child_subreaper(true)); // so that the orphan's end is told to us
    const Outcome outcome = run(victim("orphan"));
    CHECK(outcome.status.success());
    const pid_t orphan = std::stoi(outcome.report().at("child"));
    REQUIRE(orphan > 0);
    auto pidfd = sys::pidfd_open(orphan);
    REQUIRE(pidfd);
    CHECK(sys::reap_blocking(pidfd->get())->status == ExitStatus::signaled(SIGKILL));
    REQUIRE(sys::set_child_subreaper(false));
}

TEST_CASE("a child is born in its cgroup, or joins it before it does anything else") {
    const auto own = sys::cgroup::find_own();
    const std::string name = "keep-test-exec-" + std::to_string(::getpid());
    auto made = own ? sys::cgroup::create_child(*own, name) : std::unexpected(own.error());
    if (!made) {
        MESSAGE("skipped: no cgroup v2 can be made here");
        return;
    }
    for (const NamedRung& rung : every_rung) {
        CAPTURE(rung.name);
        exec::SpawnSpec spec;
        spec.path = "/bin/cat";
        spec.argv = {"cat", "/proc/self/cgroup"};
        spec.sys.cgroup_fd = made->get();
        CHECK(run(spec, rung.rung).output.find("/" + name + "\n") != std::string::npos);
    }
    CHECK(sys::cgroup::await_empty(*own + "/" + name, std::chrono::seconds(10)));
    CHECK(sys::cgroup::remove(*own + "/" + name));
}
