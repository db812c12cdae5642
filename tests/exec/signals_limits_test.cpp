// Signals, limits, and how much of the machine the child gets.
#include <cerrno>
#include <csignal>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <thread>
#include <unistd.h>

#include "tests/exec/attributes.hpp"

using namespace keep;
using namespace keep::test;
using exec::IoPriority;
using exec::Step;

namespace {

exec::SpawnSpec program() {
    exec::SpawnSpec spec;
    spec.path = "/bin/true";
    return spec;
}

constexpr std::uint64_t bit(int signal) {
    return std::uint64_t{1} << (signal - 1);
}

// As /proc/self/status shows a set of signals.
std::string signals(std::uint64_t bits) {
    char text[17];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(bits));
    return text;
}

void block(std::initializer_list<int> numbers) {
    sigset_t set;
    ::sigemptyset(&set);
    for (const int number : numbers)
        ::sigaddset(&set, number);
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

void handler(int) {}

std::string outcome_for_stranger(const exec::SpawnSpec& spec) {
    return in_fork([&] {
               become_stranger();
               say(outcome_of(spec));
           })
        .output;
}

} // namespace

EXEC_TEST("[go:132] handlers are reset, ignored signals stay ignored, and the mask is the starter's") {
    const auto before = [] {
        ::signal(SIGUSR1, handler);
        ::signal(SIGRTMAX, handler);
        ::signal(SIGHUP, SIG_IGN);
        ::signal(SIGRTMIN + 1, SIG_IGN);
        block({SIGUSR2, SIGRTMIN + 2});
    };
    const Report report = report_from_fork(before, attributes_spec());
    CHECK(report.at("SigCgt") == signals(0));
    CHECK(report.at("SigIgn") == signals(bit(SIGHUP) | bit(SIGRTMIN + 1)));
    CHECK(report.at("SigBlk") == signals(bit(SIGUSR2) | bit(SIGRTMIN + 2)));
    CHECK(report.at("ShdPnd") == signals(0));
    CHECK(report.at("SigPnd") == signals(0));
}

EXEC_TEST("[go:132] the same where clone3 is refused, which resets handlers") {
    const auto before = [] {
        ::signal(SIGUSR1, handler);
        ::signal(SIGHUP, SIG_IGN);
        block({SIGUSR2});
        refuse_calls({{SYS_clone3, -1, 0, ENOSYS}});
    };
    const Report report = report_from_fork(before, attributes_spec());
    CHECK(report.at("SigCgt") == signals(0));
    CHECK(report.at("SigIgn") == signals(bit(SIGHUP)));
    CHECK(report.at("SigBlk") == signals(bit(SIGUSR2)));
}

EXEC_TEST("[go:132] the mask is that of the thread that starts, not of the process's first") {
    exec::SpawnSpec spec = attributes_spec();
    const Ran ran = in_fork([&] {
        block({SIGUSR1});
        std::thread([&] {
            block({SIGUSR2}); // besides the one that it inherited
            start_here(spec);
        }).join();
    });
    CHECK(status_fields(ran.output).at("SigBlk") == signals(bit(SIGUSR1) | bit(SIGUSR2)));
}

EXEC_TEST("[go:132] ignored signals can be reset, whoever has ignored them") {
    exec::SpawnSpec spec = attributes_spec();
    spec.sys.ignored_signals = exec::IgnoredSignals::reset;
    const auto before = [] {
        ::signal(SIGHUP, SIG_IGN);
        ::signal(SIGCHLD, SIG_IGN);
        ::signal(SIGRTMAX, SIG_IGN);
    };
    CHECK(report_from_fork(before, spec).at("SigIgn") == signals(0));
    // A start before has looked at them already.
    const auto late = [&] {
        (void)outcome_of(spec);
        before();
    };
    CHECK(report_from_fork(late, spec).at("SigIgn") == signals(0));
}

EXEC_TEST("[go:132] a parent's choice to ignore SIGPIPE is not its children's") {
    const auto before = [] { ::signal(SIGPIPE, SIG_IGN); };
    CHECK(report_from_fork(before, attributes_spec()).at("SigIgn") == signals(0));
}

EXEC_TEST("[go:132] a mask that is given takes the place of the starter's") {
    exec::SpawnSpec spec = attributes_spec();
    const auto before = [] { block({SIGUSR2}); };
    spec.sys.signal_mask = bit(SIGTERM) | bit(SIGRTMAX);
    CHECK(report_from_fork(before, spec).at("SigBlk") == signals(bit(SIGTERM) | bit(SIGRTMAX)));
    spec.sys.signal_mask = 0;
    CHECK(report_from_fork(before, spec).at("SigBlk") == signals(0));
}

namespace {

constexpr rlim_t low = 256;

void set_soft(rlim_t soft) {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = soft;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

// For the body of in_fork(): a program that has had its limit raised.
void raise_from_low() {
    set_soft(low);
    if (const auto raised = exec::raise_nofile_limit(); !raised) say(raised.error().message());
}

std::string nofile(rlim_t soft) {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    return std::to_string(soft) + " " + std::to_string(limit.rlim_max);
}

rlim_t hard() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_max;
}

} // namespace

EXEC_TEST("[go:133] children get the limit of descriptors from before the library raised it") {
    const Ran ran = in_fork([] {
        raise_from_low();
        start_here(attributes_spec());
        say("ours:\t" + nofile(hard()));
    });
    const Report report = status_fields(ran.output);
    CHECK(report.at("nofile") == nofile(low));
    CHECK(report.at("ours") == nofile(hard()));
}

EXEC_TEST("[go:133] raising it twice does not forget the limit from before") {
    const auto before = [] {
        raise_from_low();
        (void)exec::raise_nofile_limit();
    };
    CHECK(report_from_fork(before, attributes_spec()).at("nofile") == nofile(low));
}

EXEC_TEST("[go:133] a limit that the program has set itself since is its children's") {
    const auto before = [] {
        raise_from_low();
        set_soft(300);
    };
    CHECK(report_from_fork(before, attributes_spec()).at("nofile") == nofile(300));
}

EXEC_TEST("[go:133] a limit in the spec wins over both") {
    exec::SpawnSpec spec = attributes_spec();
    spec.sys.limits = {{RLIMIT_NOFILE, {100, 200}}};
    CHECK(report_from_fork(raise_from_low, spec).at("nofile") == "100 200");
}

EXEC_TEST("[go:133] without raise_nofile_limit() children get what the parent has") {
    CHECK(report_from_fork([] { set_soft(low); }, attributes_spec()).at("nofile") == nofile(low));
    CHECK(report_from_fork([] { set_soft(hard()); }, attributes_spec()).at("nofile") == nofile(hard()));
}

EXEC_TEST("a umask is the child's alone") {
    exec::SpawnSpec spec = attributes_spec();
    spec.sys.umask = 0137;
    const mode_t ours = ::umask(0022);
    CHECK(report_of(spec).at("Umask") == "0137");
    CHECK(::umask(ours) == 0022);
}

EXEC_TEST("limits are set; one that contradicts itself is named") {
    exec::SpawnSpec spec = attributes_spec();
    spec.sys.limits = {{RLIMIT_CORE, {0, 4096}}, {RLIMIT_NOFILE, {100, 200}}};
    const Report report = report_of(spec);
    CHECK(report.at("core") == "0 4096");
    CHECK(report.at("nofile") == "100 200");
    spec.sys.limits = {{RLIMIT_CORE, {0, 0}}, {RLIMIT_STACK, {200, 100}}};
    check_fails(spec, Step::rlimit, EINVAL);
}

EXEC_TEST("[go:117] a limit of fewer descriptors than the child is given does not hinder the giving") {
    exec::SpawnSpec spec = attributes_spec();
    spec.sys.limits = {{RLIMIT_NOFILE, {8, 8}}};
    spec.extra_fds = {{2, 20}};
    CHECK(report_of(spec).at("nofile") == "8 8");
    if (!is_root()) return;
    const Fd image = attributes_image();
    spec.exec_fd = image.get();
    spec.sys.credential = exec::Credential{stranger, stranger, {}};
    CHECK(report_of(spec).at("nofile") == "8 8");
}

EXEC_TEST("limits are set before the user changes: root may raise them, others may not") {
    if (!is_root()) return;
    exec::SpawnSpec spec = program();
    spec.sys.limits = {{RLIMIT_CORE, {2, 2}}};
    const Ran ran = in_fork([&] {
        const rlimit tight{1, 1};
        ::setrlimit(RLIMIT_CORE, &tight);
        become_stranger();
        say(outcome_of(spec));
    });
    CHECK(ran.output == "rlimit " + std::to_string(EPERM) + "\n");
}

EXEC_TEST("a nice value is absolute; a lower one than the starter may have is refused") {
    exec::SpawnSpec spec = attributes_spec();
    spec.sys.nice = 7;
    CHECK(report_of(spec).at("nice") == "7");
    CHECK(report_from_fork([] { (void)!::nice(5); }, spec).at("nice") == "7");
    if (!is_root()) return;
    spec = program();
    spec.sys.nice = -5;
    CHECK(outcome_for_stranger(spec) == "nice " + std::to_string(EACCES) + "\n");
}

EXEC_TEST("an out-of-memory score is set; a lower one than the starter may have is refused") {
    exec::SpawnSpec spec = attributes_spec();
    spec.sys.oom_score_adjust = 321;
    CHECK(report_of(spec).at("oom score adjust") == "321");
    spec.sys.oom_score_adjust = 1001;
    check_fails(spec, Step::oom_score_adjust, EINVAL);
    if (!is_root()) return;
    spec = program();
    spec.sys.oom_score_adjust = -500;
    CHECK(outcome_for_stranger(spec) == "oom_score_adjust " + std::to_string(EACCES) + "\n");
}

EXEC_TEST("a CPU affinity is set; CPUs that are not there are refused") {
    cpu_set_t ours;
    REQUIRE(::sched_getaffinity(0, sizeof ours, &ours) == 0);
    int last = CPU_SETSIZE - 1;
    while (!CPU_ISSET(last, &ours))
        --last;
    exec::SpawnSpec spec = attributes_spec();
    spec.sys.cpu_affinity = {last};
    CHECK(report_of(spec).at("Cpus_allowed_list") == std::to_string(last));
    for (const int absent : {60000, -1, 1 << 30}) {
        spec.sys.cpu_affinity = {absent};
        check_fails(spec, Step::cpu_affinity, EINVAL);
    }
}

EXEC_TEST("an I/O priority is set; one that there is not, or that the starter may not have, is refused") {
    constexpr int class_shift = 13; // ioprio_set(2)
    exec::SpawnSpec spec = attributes_spec();
    spec.sys.io_priority = IoPriority{IoPriority::Class::best_effort, 6};
    CHECK(report_of(spec).at("io priority") == std::to_string(2 << class_shift | 6));
    spec.sys.io_priority = IoPriority{IoPriority::Class::idle, 0};
    CHECK(report_of(spec).at("io priority") == std::to_string(3 << class_shift));
    for (const int level : {8, -1}) {
        spec.sys.io_priority = IoPriority{IoPriority::Class::best_effort, level};
        check_fails(spec, Step::io_priority, EINVAL);
    }
    if (!is_root()) return;
    spec = program();
    spec.sys.io_priority = IoPriority{IoPriority::Class::realtime, 0};
    CHECK(outcome_for_stranger(spec) == "io_priority " + std::to_string(EPERM) + "\n");
}
