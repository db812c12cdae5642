// The programs that the system tests have keepd run. One binary, one mode each:
//
//   victim pause                       does nothing until a signal ends it
//   victim lines COUNT BATCH FIFO      writes COUNT numbered lines; each byte read from FIFO lets it write BATCH,
//                                      a few at a time, with pieces of lines in between, and a "!" the
//                                      rest of what was begun; then pauses
//   victim exits NAME LEDGER MAX_MS    notes "start NAME PID 0" in LEDGER, lives a random time up to MAX_MS, notes
//                                      "exit NAME PID CODE" (-SIGNAL where it will die of one), and ends so; where
//                                      LEDGER.halt is, it notes "halt NAME PID 0" instead and stays
//   victim worker NAME LEDGER TAG      notes "start NAME PID TAG"; at USR1 "usr1 NAME PID TAG"; at TERM and USR2 "exit
//   NAME
//                                      PID CODE", and ends so; with the tag "lingers" TERM is but noted, as "term"
//   victim stubborn PIDS               ignores SIGTERM; its child double-forks, calls setsid and ignores SIGTERM as
//                                      well; the pids of all go to PIDS, one a line
//   victim orphan PIDS                 leaves a grandchild behind, notes its pid in PIDS, and ends with 0
//   victim catch FILE                  appends a line to FILE for each of HUP, USR1, USR2; SIGTERM ends it with 0
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <initializer_list>
#include <poll.h>
#include <random>
#include <string>
#include <string_view>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace {

[[noreturn]] void pause_for_ever() {
    while (true)
        ::pause();
}

[[noreturn]] void give_up(const char* what) {
    std::perror(what);
    std::exit(125);
}

void write_whole(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t written = ::write(fd, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) give_up("write");
        bytes.remove_prefix(static_cast<std::size_t>(written));
    }
}

// One write, so that lines of several processes do not mix.
void append_line(const char* path, const std::string& text) {
    const int fd = ::open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0) give_up(path);
    write_whole(fd, text + "\n");
    ::close(fd);
}

// A victim may take its time; it is the tests that must not.
void take(int milliseconds) {
    ::poll(nullptr, 0, milliseconds);
}

int lines(long count, long batch, const char* fifo) {
    const int go = ::open(fifo, O_RDWR | O_CLOEXEC);
    if (go < 0) give_up(fifo);
    std::minstd_rand random(static_cast<unsigned>(::getpid()));
    long next = 1;
    std::string pending;
    while (next <= count) {
        char byte = 0;
        if (::read(go, &byte, 1) != 1) give_up("read");
        if (byte == '!') write_whole(1, std::exchange(pending, {}));
        if (byte == '!') continue;
        for (long left = batch; left > 0 && next <= count; --left) {
            char line[64];
            std::snprintf(line, sizeof line, "line %08ld of the ledger %.*s\n", next++, static_cast<int>(random() % 24),
                          "xxxxxxxxxxxxxxxxxxxxxxxx");
            pending += line;
            // Mostly some whole lines and a piece of the next one at a time, so that pauses fall inside lines too.
            if (pending.size() > 64 + random() % 1024) {
                const std::size_t piece = pending.size() - random() % 40;
                write_whole(1, std::string_view(pending).substr(0, piece));
                pending.erase(0, piece);
                if (random() % 4 == 0) take(1);
            }
        }
        if (next > count) write_whole(1, pending);
    }
    pause_for_ever();
}

// What a program says of itself in the ledger (a file or a FIFO): one line each.
class Ledger {
  public:
    Ledger(std::string path, const std::string& name)
        : path_(std::move(path)), who_(" " + name + " " + std::to_string(::getpid()) + " ") {}

    void note(const char* what, const std::string& detail) const { append_line(path_.c_str(), what + who_ + detail); }

    // Said first: nobody may learn of an end that the ledger does not know.
    [[noreturn]] void end(int code) const {
        note("exit", std::to_string(code));
        ::_exit(code);
    }

  private:
    std::string path_;
    std::string who_;
};

int exits(const std::string& name, const std::string& path, int max_ms) {
    const Ledger ledger(path, name);
    ledger.note("start", "0");
    if (::access((path + ".halt").c_str(), F_OK) == 0) {
        ledger.note("halt", "0");
        pause_for_ever();
    }
    std::random_device seed;
    std::minstd_rand random(seed());
    take(static_cast<int>(random() % static_cast<unsigned>(max_ms + 1)));
    if (random() % 8 == 0) {
        constexpr std::array signals{SIGKILL, SIGTERM, SIGUSR1, SIGINT};
        const int number = signals[random() % signals.size()];
        ledger.note("exit", std::to_string(-number));
        ::raise(number);
    }
    ledger.end(static_cast<int>(random() % 256));
}

// Blocks these signals; a descriptor to read them from.
int signals_to_read(std::initializer_list<int> numbers) {
    sigset_t set;
    sigemptyset(&set);
    for (const int number : numbers)
        sigaddset(&set, number);
    ::sigprocmask(SIG_BLOCK, &set, nullptr);
    return ::signalfd(-1, &set, SFD_CLOEXEC);
}

int worker(const std::string& name, const std::string& path, const std::string& tag) {
    const int fd = signals_to_read({SIGUSR1, SIGUSR2, SIGTERM});
    const Ledger ledger(path, name);
    ledger.note("start", tag);
    signalfd_siginfo info{};
    while (::read(fd, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGUSR1)
            ledger.note("usr1", tag);
        else if (info.ssi_signo == SIGTERM && tag == "lingers")
            ledger.note("term", tag);
        else
            ledger.end(::getpid() % 251);
    }
    return 1;
}

int stubborn(const char* pids) {
    std::signal(SIGTERM, SIG_IGN);
    if (::fork() == 0) {
        ::setsid();
        if (::fork() == 0) {
            ::setsid();
            append_line(pids, std::to_string(::getpid()));
            pause_for_ever();
        }
        ::_exit(0);
    }
    ::wait(nullptr);
    append_line(pids, std::to_string(::getpid()));
    pause_for_ever();
}

int orphan(const char* pids) {
    ::setenv("VICTIM", std::to_string(::getpid()).c_str(), 1);
    int noted[2];
    if (::pipe(noted) != 0) give_up("pipe");
    if (::fork() == 0) {
        if (::fork() == 0) {
            ::setsid();
            append_line(pids, std::to_string(::getpid()));
            ::close(noted[0]);
            ::close(noted[1]);
            // Ends once both its parents have: it is an orphan by then.
            const pid_t program = static_cast<pid_t>(std::atol(std::getenv("VICTIM")));
            while (::kill(program, 0) == 0)
                take(1);
            ::_exit(7);
        }
        ::_exit(0);
    }
    ::wait(nullptr);
    // keepd clears what is left as soon as this process ends: the note must be there by then. Nothing comes but the
    // end.
    ::close(noted[1]);
    char nothing = 0;
    return ::read(noted[0], &nothing, 1) == 0 ? 0 : 1;
}

int catch_signals(const char* file) {
    const int fd = signals_to_read({SIGHUP, SIGUSR1, SIGUSR2, SIGTERM});
    append_line(file, "ready");
    signalfd_siginfo info{};
    while (::read(fd, &info, sizeof info) == sizeof info) {
        const int number = static_cast<int>(info.ssi_signo);
        append_line(file, ::strsignal(number));
        if (number == SIGTERM) return 0;
    }
    return 1;
}

} // namespace

int main(int argc, char** argv) {
    const std::string_view mode = argc > 1 ? argv[1] : "";
    if (mode == "pause") pause_for_ever();
    if (mode == "lines" && argc == 5) return lines(std::atol(argv[2]), std::atol(argv[3]), argv[4]);
    if (mode == "exits" && argc == 5) return exits(argv[2], argv[3], std::atoi(argv[4]));
    if (mode == "worker" && argc == 5) return worker(argv[2], argv[3], argv[4]);
    if (mode == "stubborn" && argc == 3) return stubborn(argv[2]);
    if (mode == "orphan" && argc == 3) return orphan(argv[2]);
    if (mode == "catch" && argc == 3) return catch_signals(argv[2]);
    std::fputs("victim: see tests/system/victim.cpp\n", stderr);
    return 2;
}
