#include "lib/sys/cgroup.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <memory>
#include <poll.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "lib/sys/cgroup_paths.hpp"
#include "lib/sys/clock.hpp"

namespace keep::sys::cgroup {
namespace {

bool is_cgroup2(const std::string& dir) {
    struct statfs about{};
    return ::statfs(dir.c_str(), &about) == 0 && about.f_type == CGROUP2_SUPER_MAGIC;
}

bool is_marked_delegated(const std::string& dir) {
    for (const char* name : {"trusted.delegate", "user.delegate"}) {
        char value = 0;
        if (::getxattr(dir.c_str(), name, &value, 1) == 1 && value == '1') return true;
    }
    return false;
}

Result<> write_file(const std::string& path, std::string_view text) {
    auto fd = sys::open(path, O_WRONLY);
    if (!fd) return std::unexpected(fd.error());
    if (auto done = write_all(fd->get(), text); !done) return fail_in("'" + path + "'", done.error());
    return {};
}

// One level; the cgroup may live on between the look and the rmdir.
Result<> remove_one(const std::string& dir) {
    if (::rmdir(dir.c_str()) == 0 || errno == ENOENT) return {};
    return fail_errno("rmdir", dir, errno);
}

} // namespace

Result<std::string> find_own() {
    auto self = read_file("/proc/self/cgroup");
    if (!self) return std::unexpected(self.error());
    const auto path = parse_own_path(*self);
    if (!path) return fail("find our cgroup: /proc/self/cgroup names no cgroup v2 within this namespace", ENOENT);
    auto mountinfo = read_file("/proc/self/mountinfo");
    if (!mountinfo) return std::unexpected(mountinfo.error());
    for (const Mount& mount : parse_mounts(*mountinfo)) {
        const auto dir = directory_under(mount, *path);
        // A later mount may cover this one, and a removed cgroup keeps its name here: only what is there counts.
        if (dir && is_cgroup2(*dir)) return *dir;
    }
    return fail("find our cgroup: no mounted cgroup2 shows '" + *path + "'", ENOENT);
}

Result<> check_our_own(const std::string& dir) {
    if (!is_cgroup2(dir)) return fail("'" + dir + "' is no cgroup v2 directory", ENOENT);
    if (::access(dir.c_str(), W_OK) != 0) return fail_errno("write to cgroup", dir, errno);
    const std::string file = dir + "/cgroup.procs";
    if (::access(file.c_str(), W_OK) != 0) return fail_errno("write to", file, errno);
    if (is_marked_delegated(dir)) return {};
    auto others = procs(dir);
    if (!others) return std::unexpected(others.error());
    if (*others == std::vector<pid_t>{::getpid()}) return {};
    return fail("cgroup '" + dir + "' is not delegated to us: other processes are in it", EBUSY);
}

Result<Fd> create_child(const std::string& dir, const std::string& name, Duration patience) {
    const std::string path = dir + "/" + name;
    if (::mkdir(path.c_str(), 0755) != 0) {
        if (errno != EEXIST) return fail_errno("mkdir", path, errno);
        if (auto killed = kill(path); !killed) return std::unexpected(killed.error());
        if (auto empty = await_empty(path, patience); !empty) return std::unexpected(empty.error());
        if (auto gone = remove(path); !gone) return std::unexpected(gone.error());
        if (::mkdir(path.c_str(), 0755) != 0) return fail_errno("mkdir", path, errno);
    }
    return open_dir(path);
}

Result<Fd> open_dir(const std::string& dir) {
    return sys::open(dir, O_RDONLY | O_DIRECTORY);
}

Result<> kill(const std::string& dir) {
    return write_file(dir + "/cgroup.kill", "1");
}

Result<bool> populated(const std::string& dir) {
    auto events = open_events(dir);
    if (!events) return std::unexpected(events.error());
    return populated_of(events->get());
}

Result<Fd> open_events(const std::string& dir) {
    return sys::open(dir + "/cgroup.events", O_RDONLY);
}

Result<bool> populated_of(int events_fd) {
    std::array<char, 256> text{};
    const ssize_t count = ::pread(events_fd, text.data(), text.size(), 0);
    if (count < 0) return fail_errno("read cgroup.events", "", errno);
    const auto value = parse_populated({text.data(), static_cast<std::size_t>(count)});
    if (!value) return fail("cgroup.events does not say whether the cgroup is populated", EPROTO);
    return *value;
}

Result<> await_empty(const std::string& dir, Duration patience) {
    const Time deadline = monotonic_now() + patience;
    auto events = open_events(dir);
    if (!events) return std::unexpected(events.error());
    for (;;) {
        auto lives = populated_of(events->get());
        if (!lives) return std::unexpected(lives.error());
        if (!*lives) return {};
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - monotonic_now()).count();
        if (left <= 0) return fail_errno("wait for the end of cgroup", dir, ETIMEDOUT);
        pollfd watched{events->get(), POLLPRI, 0};
        ::poll(&watched, 1, static_cast<int>(left));
    }
}

Result<> remove(const std::string& dir) {
    auto below = children(dir);
    if (!below) {
        if (below.error().code == ENOENT) return {};
        return std::unexpected(below.error());
    }
    for (const std::string& name : *below) {
        if (auto gone = remove(dir + "/" + name); !gone) return gone;
    }
    return remove_one(dir);
}

Result<std::vector<pid_t>> procs(const std::string& dir) {
    auto text = read_file(dir + "/cgroup.procs");
    if (!text) return std::unexpected(text.error());
    return parse_procs(*text);
}

Result<std::vector<pid_t>> all_procs(const std::string& dir) {
    auto pids = procs(dir);
    if (!pids) return pids;
    auto below = children(dir);
    if (!below) return std::unexpected(below.error());
    for (const std::string& name : *below) {
        // One that went away since the look had nobody left.
        if (auto more = all_procs(dir + "/" + name)) pids->insert(pids->end(), more->begin(), more->end());
    }
    return pids;
}

Result<std::vector<std::string>> children(const std::string& dir) {
    const std::unique_ptr<DIR, decltype([](DIR* open) { ::closedir(open); })> list(::opendir(dir.c_str()));
    if (!list) return fail_errno("opendir", dir, errno);
    std::vector<std::string> names;
    while (const dirent* entry = ::readdir(list.get())) {
        const std::string_view name = entry->d_name;
        if (entry->d_type == DT_DIR && name != "." && name != "..") names.emplace_back(name);
    }
    return names;
}

} // namespace keep::sys::cgroup
