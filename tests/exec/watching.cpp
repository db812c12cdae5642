#include "tests/exec/watching.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace keep::test {

bool readable(int fd, std::chrono::milliseconds longest) {
    const auto until = std::chrono::steady_clock::now() + longest;
    for (;;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
        pollfd watched{fd, POLLIN, 0};
        const int count = ::poll(&watched, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
        if (count > 0) return true;
        if (count == 0 || errno != EINTR) return false;
    }
}

bool eventually(const std::function<bool()>& holds) {
    const auto until = std::chrono::steady_clock::now() + patience;
    while (!holds()) {
        if (std::chrono::steady_clock::now() > until) return false;
        std::this_thread::yield();
    }
    return true;
}

void Gate::open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
}

bool Gate::wait(std::chrono::milliseconds longest) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, longest, [this] { return open_; });
}

exec::Sink Listener::sink() {
    return exec::Sink::writer([this](std::string_view bytes) -> exec::Result<> {
        const std::lock_guard lock(mutex_);
        text_ += bytes;
        if (text_.contains('\n')) line_.open();
        return {};
    });
}

std::string Listener::text() {
    const std::lock_guard lock(mutex_);
    return text_;
}

std::string read_line(exec::PipeReader& reader) {
    std::string line;
    char letter = 0;
    while (!line.ends_with('\n') && readable(reader.fd())) {
        const auto count = reader.read({&letter, 1});
        if (!count || *count == 0) break;
        line += letter;
    }
    return line;
}

std::string read_line(int fd) {
    std::string line;
    char letter = 0;
    while (!line.ends_with('\n') && readable(fd) && ::read(fd, &letter, 1) == 1)
        line += letter;
    return line;
}

PipePair make_pipe() {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    return {Fd::adopt(ends[0]), Fd::adopt(ends[1])};
}

Fd file_with(std::string_view text) {
    Fd file = Fd::adopt(::memfd_create("test", MFD_CLOEXEC));
    REQUIRE(file);
    REQUIRE(::pwrite(file.get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
    return file;
}

std::string content(int fd) {
    struct stat about{};
    REQUIRE(::fstat(fd, &about) == 0);
    std::string text(static_cast<std::size_t>(about.st_size), '\0');
    REQUIRE(::pread(fd, text.data(), text.size(), 0) == about.st_size);
    return text;
}

int threads() {
    return holdings().threads;
}

std::string descriptor_target(pid_t pid, int number) {
    char target[512];
    const std::string link = "/proc/" + std::to_string(pid) + "/fd/" + std::to_string(number);
    const ssize_t length = ::readlink(link.c_str(), target, sizeof target);
    return {target, length < 0 ? 0 : static_cast<std::size_t>(length)};
}

int access_mode(pid_t pid, int number) {
    std::ifstream info("/proc/" + std::to_string(pid) + "/fdinfo/" + std::to_string(number));
    for (std::string key, value; info >> key >> value;)
        if (key == "flags:") return std::stoi(value, nullptr, 8) & O_ACCMODE;
    return -1;
}

int descriptors_of(const std::string& target) {
    return static_cast<int>(std::ranges::count(holdings().descriptors, target, [](const auto& d) { return d.second; }));
}

int pipes() {
    return static_cast<int>(std::ranges::count_if(
        holdings().descriptors, [](const auto& descriptor) { return descriptor.second.starts_with("pipe:"); }));
}

bool asleep(pid_t thread) {
    std::ifstream file("/proc/self/task/" + std::to_string(thread) + "/stat");
    std::string text;
    std::getline(file, text);
    return text.find(") S ") != std::string::npos; // after the name, which may hold anything
}

bool gone(pid_t pid) {
    return ::kill(pid, 0) != 0 && errno == ESRCH;
}

std::vector<std::string> Lingering::arguments() const {
    // A shell gives its background commands another standard input, unless told.
    return {"-c", "exec 5<&0; (read line <&3; echo late) <&5 & echo ready; read line <&4; exit $0",
            std::to_string(exit_code_)};
}

exec::Cmd Lingering::command() {
    return prepared(exec::command("/bin/sh", arguments()));
}

exec::Cmd Lingering::command(exec::Context context) {
    return prepared(exec::command(std::move(context), "/bin/sh", arguments()));
}

exec::Cmd Lingering::prepared(exec::Cmd cmd) {
    cmd.extra_files = {release_.read.get(), leave_.read.get()};
    return cmd;
}

bool still_running(exec::Cmd& cmd) {
    const auto fd = cmd.wait_fd();
    REQUIRE(fd);
    return !readable(*fd, std::chrono::milliseconds(0)) && !cmd.try_wait().has_value();
}

exec::Result<> result_when_ready(exec::Cmd& cmd) {
    const auto fd = cmd.wait_fd();
    REQUIRE(fd);
    REQUIRE(readable(*fd));
    auto result = cmd.try_wait();
    REQUIRE(result.has_value()); // at once: not "nearly"
    return *std::move(result);
}

Disposition::Disposition(int signal, void (*handler)(int)) : signal_(signal), before_{} {
    struct sigaction action{};
    action.sa_handler = handler;
    REQUIRE(::sigaction(signal, &action, &before_) == 0);
}

Disposition::~Disposition() {
    ::sigaction(signal_, &before_, nullptr);
}

} // namespace keep::test
