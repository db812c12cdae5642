// middle_design PROGRAMS EXTRA: an upgrade in place as it is plainly done, beside keepd's gap. PROGRAMS children that
// pause, a pidfd of each, and EXTRA further descriptors for each (a pipe's two ends and a file, as a logged program
// has).
//
// For each line on its standard input it replaces itself once and prints how many nanoseconds that took, from the last
// thing the old image did for its children to the first that the new one could do:
//
//   the state, about 1 KiB a program, is written to a memfd in a binary form, all of it, at the time;
//   close-on-exec is cleared from each descriptor; execve of a static binary;
//   the state is read back into strings of its own;
//   each pidfd (and each pipe's read end) is added to a new epoll set; each child is asked whether it has ended;
//   all is marked close-on-exec again, by one call.
//
// No rehearsal, no way back, no check of what came over, no log, no clients, no service manager.
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <linux/close_range.h>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace {

struct Program {
    std::string name, state, directory;
    std::vector<std::int64_t> numbers; // pid, pidfd, extra descriptors, and figures
    std::vector<std::string> arguments, environment;
};

constexpr std::size_t pid_at = 0, pidfd_at = 1, extra_at = 2;

std::int64_t now() {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

[[noreturn]] void die(const char* what) {
    std::perror(what);
    std::exit(1);
}

int checked(long result, const char* what) {
    if (result < 0) die(what);
    return static_cast<int>(result);
}

// ---- the state's form: lengths and bytes ---------------------------------------------------------------------------

void put(std::string& out, const void* bytes, std::size_t size) {
    const auto length = static_cast<std::uint32_t>(size);
    out.append(reinterpret_cast<const char*>(&length), sizeof length);
    out.append(static_cast<const char*>(bytes), size);
}

void put(std::string& out, const std::string& text) {
    put(out, text.data(), text.size());
}

void put(std::string& out, const std::vector<std::string>& list) {
    std::string all;
    for (const auto& text : list)
        put(all, text);
    put(out, all);
}

struct In {
    std::string_view rest;

    std::string_view take() {
        std::uint32_t length = 0;
        if (rest.size() < sizeof length) std::abort();
        std::memcpy(&length, rest.data(), sizeof length);
        rest.remove_prefix(sizeof length);
        if (rest.size() < length) std::abort();
        const std::string_view part = rest.substr(0, length);
        rest.remove_prefix(length);
        return part;
    }
    std::vector<std::string> list() {
        std::vector<std::string> all;
        for (In parts{take()}; !parts.rest.empty();)
            all.emplace_back(parts.take());
        return all;
    }
};

std::string encode(const std::vector<Program>& programs) {
    std::string out;
    out.reserve(programs.size() * 1100);
    for (const Program& program : programs) {
        put(out, program.name);
        put(out, program.state);
        put(out, program.directory);
        put(out, program.numbers.data(), program.numbers.size() * sizeof(std::int64_t));
        put(out, program.arguments);
        put(out, program.environment);
    }
    return out;
}

std::vector<Program> decode(std::string_view bytes) {
    std::vector<Program> programs;
    for (In in{bytes}; !in.rest.empty();) {
        Program& program = programs.emplace_back();
        program.name = in.take();
        program.state = in.take();
        program.directory = in.take();
        const std::string_view numbers = in.take();
        program.numbers.resize(numbers.size() / sizeof(std::int64_t));
        std::memcpy(program.numbers.data(), numbers.data(), numbers.size());
        program.arguments = in.list();
        program.environment = in.list();
    }
    return programs;
}

// ---- the supervisor
// --------------------------------------------------------------------------------------------------

Program start(int number, int extra) {
    const std::string text = std::to_string(number);
    Program program{"service-" + text + ".worker", "running", "/srv/app/" + text, {}, {}, {}};
    const pid_t keeper = getpid();
    const pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != keeper) _exit(1);
        close_range(0, ~0U, 0);
        for (;;)
            pause();
    }
    program.numbers = {checked(pid, "fork"), checked(syscall(SYS_pidfd_open, pid, 0), "pidfd_open")};
    for (int left = extra; left > 0; left -= 3) {
        int ends[2];
        checked(pipe2(ends, O_CLOEXEC), "pipe");
        for (const int fd : {ends[0], ends[1], checked(open("/dev/null", O_WRONLY | O_CLOEXEC), "open")})
            program.numbers.push_back(fd);
    }
    program.numbers.insert(program.numbers.end(), {now(), 5'000'000 + number, number % 7, 1 << 30});
    for (int i = 0; i < 6; ++i)
        program.arguments.push_back("--option-number-" + std::to_string(i) + "=value-" + text);
    for (int i = 0; i < 13; ++i)
        program.environment.push_back("VARIABLE_" + std::to_string(i) + "=some-value-of-an-environment-" + text);
    return program;
}

void replace(const std::vector<Program>& programs, std::size_t extra) {
    const std::int64_t began = now();
    const std::string state = encode(programs);
    const int fd = checked(memfd_create("state", 0), "memfd_create");
    for (std::size_t written = 0; written < state.size();)
        written +=
            static_cast<std::size_t>(checked(write(fd, state.data() + written, state.size() - written), "write"));
    for (const Program& program : programs)
        for (std::size_t i = pidfd_at; i < extra_at + extra; ++i)
            checked(fcntl(static_cast<int>(program.numbers[i]), F_SETFD, 0), "fcntl");
    const std::string fd_text = std::to_string(fd), extra_text = std::to_string(extra),
                      began_text = std::to_string(began);
    execl("/proc/self/exe", "middle_design", "--resume", fd_text.c_str(), extra_text.c_str(), began_text.c_str(),
          nullptr);
    die("execl");
}

std::vector<Program> resume(int fd, std::size_t extra, std::int64_t began) {
    std::string state(static_cast<std::size_t>(checked(lseek(fd, 0, SEEK_END), "lseek")), '\0');
    for (std::size_t done = 0; done < state.size();)
        done += static_cast<std::size_t>(
            checked(pread(fd, state.data() + done, state.size() - done, static_cast<off_t>(done)), "pread"));
    close(fd);
    std::vector<Program> programs = decode(state);
    const int epoll = checked(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    for (std::size_t at = 0; at < programs.size(); ++at) {
        epoll_event event{EPOLLIN, {.u64 = at}};
        for (std::size_t i = pidfd_at; i < extra_at + extra; i += i == pidfd_at ? 1 : 3)
            checked(epoll_ctl(epoll, EPOLL_CTL_ADD, static_cast<int>(programs[at].numbers[i]), &event), "epoll_ctl");
        siginfo_t info{};
        checked(waitid(P_PIDFD, static_cast<id_t>(programs[at].numbers[pidfd_at]), &info, WEXITED | WNOHANG), "waitid");
    }
    checked(syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC), "close_range");
    std::printf("%lld\n", static_cast<long long>(now() - began));
    std::fflush(stdout);
    close(epoll);
    return programs;
}

} // namespace

int main(int argc, char** argv) {
    std::vector<Program> programs;
    std::size_t extra = 0;
    if (argc == 5 && std::string_view(argv[1]) == "--resume") {
        extra = std::strtoul(argv[3], nullptr, 10);
        programs = resume(std::atoi(argv[2]), extra, std::atoll(argv[4]));
    } else if (argc == 3) {
        rlimit limit{};
        getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        extra = std::strtoul(argv[2], nullptr, 10);
        for (int i = 0; i < std::atoi(argv[1]); ++i)
            programs.push_back(start(i, static_cast<int>(extra)));
        std::puts("ready");
        std::fflush(stdout);
    } else {
        return 2;
    }
    char line = 0;
    while (read(STDIN_FILENO, &line, 1) == 1)
        if (line == '\n') replace(programs, extra);
}
