#include "tests/host/pump_support.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/sys/clock.hpp"

namespace pump_test {

namespace fs = std::filesystem;
using keep::sys::Fd;

TempDir::TempDir() {
    std::string name = (fs::temp_directory_path() / "pump-XXXXXX").string();
    if (!::mkdtemp(name.data())) std::abort();
    path_ = name;
}

TempDir::~TempDir() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
}

std::string content(const std::string& path) {
    return keep::sys::read_file(path, SIZE_MAX / 2).value_or("");
}

void put(const std::string& path, std::string_view bytes) {
    const Fd fd = std::move(*keep::sys::open(path, O_WRONLY | O_CREAT | O_TRUNC, 0640));
    if (!keep::sys::write_all(fd.get(), bytes)) std::abort();
}

bool exists(const std::string& path) {
    struct stat status{};
    return ::lstat(path.c_str(), &status) == 0;
}

std::vector<std::string> rotated(const std::string& path) {
    std::vector<std::string> files{path};
    for (int number = 1; exists(path + "." + std::to_string(number)); ++number)
        files.push_back(path + "." + std::to_string(number));
    std::ranges::reverse(files);
    return files;
}

std::string joined(const std::string& path) {
    std::string all;
    for (const std::string& file : rotated(path))
        all += content(file);
    return all;
}

void write_to(int fd, std::string_view bytes, std::mt19937* sizes) {
    while (!bytes.empty()) {
        std::size_t piece = bytes.size();
        if (sizes) piece = std::min<std::size_t>(piece, std::uniform_int_distribution<std::size_t>(1, 5000)(*sizes));
        if (!keep::sys::write_all(fd, bytes.substr(0, piece))) std::abort();
        bytes.remove_prefix(piece);
    }
}

std::string numbered_lines(std::string_view name, int count, std::mt19937& random, std::size_t longest) {
    std::uniform_int_distribution<std::size_t> length(0, longest);
    std::string text;
    for (int number = 0; number < count; ++number) {
        char head[32];
        std::snprintf(head, sizeof head, " %06d ", number);
        text.append(name).append(head).append(length(random), 'x').append("\n");
    }
    return text;
}

std::string read_exactly(int fd, std::size_t count) {
    std::string bytes;
    while (bytes.size() < count) {
        pollfd look{fd, POLLIN, 0};
        if (::poll(&look, 1, static_cast<int>(patience / std::chrono::milliseconds(1))) <= 0) break;
        char piece[4096];
        const ssize_t got = ::read(fd, piece, std::min(sizeof piece, count - bytes.size()));
        if (got <= 0) break;
        bytes.append(piece, static_cast<std::size_t>(got));
    }
    return bytes;
}

bool await(const keepd::logs::Pump& pump, const std::string& id,
           const std::function<bool(const keepd::logs::StreamStatus&)>& holds) {
    const keep::Time deadline = keep::sys::monotonic_now() + patience;
    while (true) {
        const auto all = pump.status();
        const auto found = all.find(id);
        if (holds(found == all.end() ? keepd::logs::StreamStatus{} : found->second)) return true;
        const auto left = (deadline - keep::sys::monotonic_now()) / std::chrono::milliseconds(1);
        if (left <= 0) return false;
        pollfd look{pump.problem_fd(), POLLIN, 0};
        ::poll(&look, 1, static_cast<int>(left));
    }
}

namespace {

// Looks again whenever something happens in the directory of `path`.
bool await_change(const std::string& path, const std::function<bool()>& holds) {
    const keep::Time deadline = keep::sys::monotonic_now() + patience;
    const Fd watch = Fd::adopt(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    const std::string directory = path.substr(0, path.rfind('/'));
    if (::inotify_add_watch(watch.get(), directory.c_str(), IN_CREATE | IN_MODIFY | IN_MOVED_TO) < 0) return false;
    while (!holds()) {
        const auto left = (deadline - keep::sys::monotonic_now()) / std::chrono::milliseconds(1);
        if (left <= 0) return false;
        pollfd look{watch.get(), POLLIN, 0};
        ::poll(&look, 1, static_cast<int>(left));
        alignas(inotify_event) char events[4096];
        while (::read(watch.get(), events, sizeof events) > 0) {
        }
    }
    return true;
}

} // namespace

bool await_content(const std::string& path, std::string_view bytes) {
    return await_change(path, [&] { return content(path) == bytes; });
}

bool await_existence(const std::string& path) {
    return await_change(path, [&] { return exists(path); });
}

bool has_problem(const keepd::logs::StreamStatus& status) {
    return !status.problem.empty();
}
bool has_no_problem(const keepd::logs::StreamStatus& status) {
    return status.problem.empty();
}

std::size_t open_descriptors() {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : fs::directory_iterator("/proc/self/fd"))
        ++count;
    return count;
}

BadDisk::BadDisk() : gate_(std::move(*keep::sys::pipe())), arrived_(std::move(*keep::sys::pipe())) {}

void BadDisk::fail_writes(std::string part, int code) {
    const std::lock_guard lock(mutex_);
    failing_ = std::move(part);
    error_ = code;
}

void BadDisk::hang(std::string part) {
    const std::lock_guard lock(mutex_);
    hanging_ = std::move(part);
}

bool BadDisk::wait_for_hang() {
    return read_exactly(arrived_.read.get(), 1).size() == 1;
}

void BadDisk::release() {
    hang("");
    write_to(gate_.write.get(), "g");
}

int BadDisk::trouble(int fd) {
    char name[4096];
    const ssize_t length = ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), name, sizeof name);
    const std::string path(name, length > 0 ? static_cast<std::size_t>(length) : 0);
    bool hangs = false;
    int code = 0;
    {
        const std::lock_guard lock(mutex_);
        hangs = !hanging_.empty() && path.find(hanging_) != path.npos;
        if (!failing_.empty() && path.find(failing_) != path.npos) code = error_;
    }
    if (hangs) {
        write_to(arrived_.write.get(), "a");
        char go = 0;
        while (::read(gate_.read.get(), &go, 1) < 0 && errno == EINTR) {
        }
    }
    return code;
}

ssize_t BadDisk::splice(int from, int to, std::int64_t* offset, std::size_t length) {
    const int code = refuses_splice_ ? EINVAL : trouble(to);
    if (code == 0) return Io::splice(from, to, offset, std::min<std::size_t>(length, most_));
    errno = code;
    return -1;
}

ssize_t BadDisk::write(int to, std::string_view bytes, std::int64_t* offset) {
    const int code = trouble(to);
    if (code == 0) return Io::write(to, bytes.substr(0, most_), offset);
    errno = code;
    return -1;
}

int BadDisk::rename(const char* from, const char* to) {
    if (rename_error_ == 0) return Io::rename(from, to);
    errno = rename_error_;
    return -1;
}

} // namespace pump_test
