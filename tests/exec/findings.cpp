#include "tests/exec/findings.hpp"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <sstream>
#include <unistd.h>

namespace keep::test {

void expect(Notes& notes, bool holds, std::string_view what) {
    if (!holds) notes.line(what);
}

void expect_equal(Notes& notes, std::string_view found, std::string_view wanted) {
    if (found == wanted) return;
    notes.add("found '");
    notes.add(found);
    notes.add("', not '");
    notes.add(wanted);
    notes.line("'");
}

std::map<int, std::string> described(std::string_view text) {
    std::map<int, std::string> descriptors;
    std::istringstream lines{std::string(text)};
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string word;
        int number = -1;
        if (!(words >> word >> number) || word != "fd") continue;
        words.get();
        std::getline(words, descriptors[number]);
    }
    return descriptors;
}

std::string numbers_of(const std::map<int, std::string>& descriptors) {
    std::string text;
    for (const auto& [number, target] : descriptors)
        text += (text.empty() ? "" : " ") + std::to_string(number);
    return text;
}

Fd open_file(const std::string& path, std::string_view text) {
    Fd file = Fd::adopt(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    REQUIRE_MESSAGE(file, path);
    REQUIRE(::pwrite(file.get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
    return file;
}

bool is_close_on_exec(int fd) {
    const int flags = ::fcntl(fd, F_GETFD);
    return flags >= 0 && (flags & FD_CLOEXEC) != 0;
}

std::string read_to_end(int fd) {
    std::string text;
    char buffer[4096];
    for (;;) {
        const ssize_t count = ::read(fd, buffer, sizeof buffer);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return text;
        text.append(buffer, static_cast<std::size_t>(count));
    }
}

LeftBehind::LeftBehind(exec::Cmd& not_started) {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    watched_ = Fd::adopt(ends[0]);
    held_ = Fd::adopt(ends[1]);
    not_started.err = exec::Sink::fd(held_.get());
    not_started.sys.setpgid = true;
}

void LeftBehind::started(pid_t leader) {
    held_.reset();
    group_ = leader;
}

bool LeftBehind::lives() const {
    pollfd end{watched_.get(), POLLIN, 0};
    return ::poll(&end, 1, 0) == 0;
}

// The group's number stays taken as long as one of its processes is there, so it is no stranger's.
void LeftBehind::end() {
    if (group_ <= 0) return;
    if (lives()) ::kill(-group_, SIGKILL);
    read_to_end(watched_.get());
    watched_.reset();
    group_ = 0;
}

} // namespace keep::test
