// The program that the tests of the exec library run: exec-helper MODE [ARG...]. It uses nothing of the library.
//   echo A...        A... and a newline
//   echoenv NAME...  the values of these variables, a line each
//   environ          all variables, a line each
//   args             argv[0] and all that follows the mode, a line each
//   cat [FILE...]    copies standard input, or the files, as cat(1) does
//   pipetest         copies lines: "O:..." to standard output, "E:..." to standard error
//   stdin-close      reads standard input to its end, expects "ok" ... and exits 0
//   exit N           exits with N
//   kill SIGNAL      ends itself by that signal
//   describefiles    each open descriptor: "fd N TARGET", in order
//   stderrfail       "some stderr text" to standard error, exits 1
//   yes [TEXT]       TEXT lines without end; exits 0 when nobody reads
//   spew BYTES       so many bytes 'x' to standard output
//   hang [interrupt[=CODE]] [subsleep] [probe] [read] [ignore]   never ends by itself:
//                    "ready" on standard output first; interrupt: SIGINT exits with CODE (0); ignore: SIGINT and
//                    SIGTERM are ignored; subsleep: a child that holds our streams lives on; probe: "probe" on standard
//                    error, exit 1 if that breaks; read: until standard input ends
//   pwd              the current directory; then the variable PWD
//   status           /proc/self/status
//   ids              "pid P ppid P pgid P sid P tpgid P"
//   stop             stops itself by SIGSTOP, then exits with 7 when continued
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <iostream>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

extern char** environ;

namespace {

using Arguments = std::vector<std::string>;

bool write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t count = ::write(fd, text.data(), text.size());
        if (count < 0) return false;
        text.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
}

int copy(int from) {
    static char buffer[65536];
    for (;;) {
        const ssize_t count = ::read(from, buffer, sizeof buffer);
        if (count == 0) return 0;
        if (count < 0 || !write_all(1, {buffer, static_cast<std::size_t>(count)})) return 1;
    }
}

int cat(const Arguments& files) {
    if (files.empty()) return copy(0);
    int code = 0;
    for (const std::string& file : files) {
        const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
        if (fd < 0) {
            write_all(2, "Error: open " + file + ": " + std::strerror(errno) + "\n");
            code = 1;
            continue;
        }
        code |= copy(fd);
        ::close(fd);
    }
    return code;
}

int describe_files() {
    std::vector<int> open;
    DIR* list = ::opendir("/proc/self/fd");
    while (const dirent* entry = ::readdir(list)) {
        if (entry->d_name[0] != '.' && std::atoi(entry->d_name) != ::dirfd(list))
            open.push_back(std::atoi(entry->d_name));
    }
    ::closedir(list);
    std::sort(open.begin(), open.end());
    for (const int fd : open) {
        char target[512];
        const ssize_t length = ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), target, sizeof target);
        std::cout << "fd " << fd << ' ' << std::string_view(target, length < 0 ? 0 : static_cast<std::size_t>(length))
                  << '\n';
    }
    return 0;
}

int pipe_test() {
    for (std::string line; std::getline(std::cin, line);) {
        if (line.starts_with("O:")) write_all(1, line + "\n");
        if (line.starts_with("E:")) write_all(2, line + "\n");
    }
    return 0;
}

int stdin_close() {
    std::string text;
    char buffer[4096];
    for (ssize_t count = 0; (count = ::read(0, buffer, sizeof buffer)) > 0;)
        text.append(buffer, static_cast<std::size_t>(count));
    if (text == "ok") return 0;
    std::cerr << "unexpected input: " << text << '\n';
    return 1;
}

int spew(std::size_t bytes) {
    const std::string block(65536, 'x');
    while (bytes > 0) {
        const std::size_t now = std::min(bytes, block.size());
        if (!write_all(1, std::string_view(block).substr(0, now))) return 1;
        bytes -= now;
    }
    return 0;
}

int interrupt_code = 0;

int hang(const Arguments& flags) {
    bool probe = false;
    bool read_input = false;
    for (const std::string& flag : flags) {
        if (flag.starts_with("interrupt")) {
            if (const std::size_t equals = flag.find('='); equals != std::string::npos)
                interrupt_code = std::atoi(flag.c_str() + equals + 1);
            ::signal(SIGINT, [](int) { ::_exit(interrupt_code); });
        } else if (flag == "ignore") {
            ::signal(SIGINT, SIG_IGN);
            ::signal(SIGTERM, SIG_IGN);
        } else if (flag == "subsleep") {
            if (::fork() == 0) {
                for (;;)
                    ::pause();
            }
        } else if (flag == "probe") {
            probe = true;
        } else if (flag == "read") {
            read_input = true;
        }
    }
    if (probe && !write_all(2, "probe\n")) return 1;
    write_all(1, "ready\n");
    if (read_input) {
        char buffer[4096];
        while (::read(0, buffer, sizeof buffer) > 0) {
        }
        return 0;
    }
    for (;;)
        ::pause();
}

int run(const std::string& mode, const Arguments& rest, const char* name) {
    if (mode == "echo") {
        for (std::size_t i = 0; i < rest.size(); ++i)
            std::cout << (i == 0 ? "" : " ") << rest[i];
        std::cout << '\n';
        return 0;
    }
    if (mode == "echoenv") {
        for (const std::string& variable : rest) {
            const char* value = std::getenv(variable.c_str());
            std::cout << (value == nullptr ? "" : value) << '\n';
        }
        return 0;
    }
    if (mode == "environ") {
        for (char** variable = environ; *variable != nullptr; ++variable)
            std::cout << *variable << '\n';
        return 0;
    }
    if (mode == "args") {
        std::cout << name << '\n';
        for (const std::string& argument : rest)
            std::cout << argument << '\n';
        return 0;
    }
    if (mode == "cat") return cat(rest);
    if (mode == "pipetest") return pipe_test();
    if (mode == "stdin-close") return stdin_close();
    if (mode == "exit") return std::atoi(rest.at(0).c_str());
    if (mode == "kill") return ::raise(std::atoi(rest.at(0).c_str())), 90;
    if (mode == "describefiles") return describe_files();
    if (mode == "stderrfail") return write_all(2, "some stderr text\n") ? 1 : 2;
    if (mode == "yes") {
        ::signal(SIGPIPE, SIG_IGN);
        const std::string line = (rest.empty() ? "y" : rest[0]) + "\n";
        while (write_all(1, line)) {
        }
        return 0;
    }
    if (mode == "spew") return spew(std::stoull(rest.at(0)));
    if (mode == "hang") return hang(rest);
    if (mode == "pwd") {
        char* here = ::get_current_dir_name();
        char physical[4096];
        const char* variable = std::getenv("PWD");
        std::cout << (::getcwd(physical, sizeof physical) == nullptr ? "?" : physical) << '\n'
                  << (variable == nullptr ? "" : variable) << '\n';
        std::free(here);
        return 0;
    }
    if (mode == "status") return cat({"/proc/self/status"});
    if (mode == "ids") {
        const int terminal = ::open("/dev/tty", O_RDWR | O_CLOEXEC);
        std::cout << "pid " << ::getpid() << " ppid " << ::getppid() << " pgid " << ::getpgrp() << " sid "
                  << ::getsid(0) << " tpgid " << (terminal < 0 ? -1 : ::tcgetpgrp(terminal)) << '\n';
        return 0;
    }
    if (mode == "stop") return ::raise(SIGSTOP), 7;
    std::cerr << "unknown mode " << mode << '\n';
    return 99;
}

} // namespace

int main(int argc, char** argv) {
    if (argc < 2) return 99;
    const int code = run(argv[1], Arguments(argv + 2, argv + argc), argv[0]);
    std::cout.flush();
    return code;
}
