#include "tests/lib/exec_victim.hpp"

#include <doctest/doctest.h>

#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sstream>
#include <string_view>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/sys/fd.hpp"
#include "lib/sys/process.hpp"
#include "lib/sys/procfs.hpp"
#include "tests/lib/temporary_directory.hpp"

extern char** environ;

namespace keep::test {
namespace {

void print_descriptors() {
    DIR* list = ::opendir("/proc/self/fd");
    while (const dirent* entry = ::readdir(list)) {
        if (entry->d_name[0] == '.' || std::atoi(entry->d_name) == ::dirfd(list)) continue;
        const auto target = sys::read_link(std::string("/proc/self/fd/") + entry->d_name);
        std::printf("fd %s %s\n", entry->d_name, target ? target->c_str() : "?");
    }
    ::closedir(list);
}

void print_ids() {
    uid_t ids[3]{};
    ::getresuid(&ids[0], &ids[1], &ids[2]);
    std::printf("uid %u %u %u\n", ids[0], ids[1], ids[2]);
    ::getresgid(&ids[0], &ids[1], &ids[2]);
    std::printf("gid %u %u %u\n", ids[0], ids[1], ids[2]);
    gid_t groups[64]{};
    const int count = ::getgroups(64, groups);
    std::printf("groups");
    for (int i = 0; i < count; ++i)
        std::printf(" %u", groups[i]);
    std::printf("\n");
}

int report(int argc, char** argv) {
    print_descriptors(); // first, before anything here opens one
    const auto own = sys::process_stat(::getpid());
    std::printf("pid %d\nparent %d\ngroup %d\nsession %d\n", own->pid, own->parent, own->group, own->session);
    std::printf("cwd %s\n", sys::read_link("/proc/self/cwd")->c_str());
    const mode_t mask = ::umask(0);
    std::printf("umask %04o\n", mask);
    print_ids();
    std::printf("nice %d\noom %d\n", *sys::nice_value(), *sys::oom_score_adjust());
    std::printf("no_new_privileges %d\n", ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    int death_signal = 0;
    ::prctl(PR_GET_PDEATHSIG, &death_signal);
    std::printf("parent_death_signal %d\n", death_signal);
    const rlimit files = *sys::get_limit(RLIMIT_NOFILE);
    std::printf("nofile %ju %ju\n", static_cast<std::uintmax_t>(files.rlim_cur),
                static_cast<std::uintmax_t>(files.rlim_max));
    const rlimit core = *sys::get_limit(RLIMIT_CORE);
    std::printf("core %ju %ju\n", static_cast<std::uintmax_t>(core.rlim_cur),
                static_cast<std::uintmax_t>(core.rlim_max));
    std::printf("args");
    for (int i = 0; i < argc; ++i)
        std::printf("|%s", argv[i]);
    std::printf("\nenv");
    for (char** variable = environ; *variable != nullptr; ++variable)
        std::printf("|%s", *variable);
    std::printf("\n");
    return 0;
}

// Fails the two system calls from now on as old kernels and strict filters do, here and in all children.
void refuse(long first, int first_code, long second, int second_code) {
    const auto answer = [](int code) { return SECCOMP_RET_ERRNO | static_cast<unsigned>(code); };
    sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(first), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, answer(first_code)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(second), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, answer(second_code)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog filter{sizeof program / sizeof *program, program};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
        std::perror("seccomp");
        std::exit(90);
    }
}

// refused CLONE3_ERRNO CLOSE_RANGE_ERRNO [UID]: spawns a report under such a filter, by the ladder's own choice, twice.
int spawn_under_filter(int argc, char** argv) {
    const int leaked = ::open("/dev/zero", O_RDONLY); // not close-on-exec: the child must not have it
    refuse(SYS_clone3, std::atoi(argv[0]), SYS_close_range, std::atoi(argv[1]));
    exec::SpawnSpec spec = victim("report");
    spec.stdio = {-1, 1, 2};
    spec.extra_fds = {{leaked, 9}};
    if (argc > 2) spec.sys.credential = exec::Credential{static_cast<uid_t>(std::atoi(argv[2])), 61234, {}};
    for (int times = 0; times < 2; ++times) {
        auto process = exec::spawn(spec);
        if (!process) {
            std::printf("error %s\n", process.error().message().c_str());
            return 1;
        }
        const auto ended = process->wait();
        if (!ended || !ended->success()) return 2;
    }
    std::printf("dumpable %d\n", ::prctl(PR_GET_DUMPABLE));
    return 0;
}

// try WHAT: spawns /bin/true with one attribute and prints the error. For what only an unprivileged parent can't do.
int try_attribute(const std::string& what) {
    exec::SpawnSpec spec;
    spec.path = "/bin/true";
    if (what == "nice") spec.sys.nice = -20;
    if (what == "oom") spec.sys.oom_score_adjust = -500;
    if (what == "rlimit") spec.sys.limits = {{RLIMIT_NOFILE, {64, sys::get_limit(RLIMIT_NOFILE)->rlim_max + 1}}};
    if (what == "credentials") spec.sys.credential = exec::Credential{0, 0, {}};
    if (what == "clone") (void)sys::set_limit(RLIMIT_NPROC, {1, 1});
    auto process = exec::spawn(spec);
    if (!process) {
        std::printf("%s %s\n", exec::step_name(process.error().step()), process.error().message().c_str());
        return 0;
    }
    (void)process->wait();
    std::printf("started\n");
    return 0;
}

// Starts a child that is to die with us, tells its pid, and ends without waiting for it.
int orphan_a_child() {
    exec::SpawnSpec spec;
    spec.path = "/bin/sh";
    spec.argv = {"sh", "-c", "read forever"};
    auto ends = sys::pipe();
    spec.stdio = {ends->read.get(), 1, -1};
    spec.extra_fds = {{ends->write.get(), 3}}; // its own standard input never ends
    spec.sys.pdeathsig = SIGKILL;
    auto process = exec::spawn(spec);
    std::printf("child %d\n", process ? process->pid() : -1);
    return 0;
}

} // namespace

std::optional<int> play_victim(int argc, char** argv) {
    constexpr std::string_view mark = "--helper=";
    if (argc < 2 || !std::string_view(argv[1]).starts_with(mark)) return std::nullopt;
    const std::string_view role = std::string_view(argv[1]).substr(mark.size());
    const std::string argument = argc > 2 ? argv[2] : "";
    int code = 99;
    if (role == "report") code = report(argc, argv);
    if (role == "exit") code = std::atoi(argument.c_str());
    if (role == "refused") code = spawn_under_filter(argc - 2, argv + 2);
    if (role == "try") code = try_attribute(argument);
    if (role == "orphan") code = orphan_a_child();
    std::fflush(stdout);
    return code;
}

exec::SpawnSpec victim(const std::string& role, const std::vector<std::string>& arguments) {
    exec::SpawnSpec spec;
    spec.path = sys::executable_path().value_or("/proc/self/exe");
    spec.argv = {"test-exec", "--helper=" + role};
    spec.env.emplace();
    spec.argv.insert(spec.argv.end(), arguments.begin(), arguments.end());
    return spec;
}

Report Outcome::report() const {
    Report lines;
    std::istringstream text(output);
    for (std::string line; std::getline(text, line);) {
        std::size_t key = line.find_first_of(" |");
        if (line.starts_with("fd ")) key = line.find(' ', 3);
        if (key == std::string::npos) key = line.size();
        lines[line.substr(0, key)] = key < line.size() ? line.substr(key + 1) : "";
    }
    return lines;
}

Outcome run(exec::SpawnSpec spec, exec::Rung rung) {
    auto output = sys::pipe();
    REQUIRE(output);
    spec.stdio[1] = output->write.get();
    if (spec.stdio[2] < 0) spec.stdio[2] = 2;
    auto process = exec::spawn_on(rung, spec);
    if (!process) FAIL(process.error().message());
    output->write.reset();
    Outcome outcome;
    outcome.output = sys::read_all(output->read.get()).value();
    outcome.status = exit_of(*process->wait());
    return outcome;
}

ExitStatus exit_of(const exec::ProcessState& state) {
    return state.exited() ? ExitStatus::exited(state.exit_code())
                          : ExitStatus::signaled(state.signal(), state.core_dumped());
}

std::string descriptors(const Report& report) {
    std::map<int, std::string> open;
    for (const auto& [key, value] : report) {
        if (key.starts_with("fd ")) open[std::stoi(key.substr(3))] = value;
    }
    std::string text;
    for (const auto& [number, target] : open)
        text += (text.empty() ? "" : " ") + std::to_string(number);
    return text;
}

bool is_root() {
    if (::geteuid() == 0) return true;
    MESSAGE("skipped: only root can do this");
    return false;
}

} // namespace keep::test
