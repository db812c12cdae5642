#include "daemon/upgrade/candidate.hpp"

#include <cerrno>
#include <cstdint>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <keep/exec/look_path.hpp>

namespace keepd::upgrade {

namespace {

keep::Result<> check_file(int fd, const struct stat& info) {
    if (S_ISDIR(info.st_mode)) return keep::fail("it is a directory");
    if (!S_ISREG(info.st_mode)) return keep::fail("it is not a regular file");
    if (info.st_size == 0) return keep::fail("it is empty");
    if ((info.st_mode & 0111) == 0) return keep::fail("it is not executable");
    if ((info.st_mode & (S_ISUID | S_ISGID)) != 0) return keep::fail("it is set-id, which would change who keepd is");
    if (fgetxattr(fd, "security.capability", nullptr, 0) > 0)
        return keep::fail("it carries file capabilities, which would change what keepd may do");
    if (geteuid() == 0) {
        if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) return keep::fail("others than its owner may write to it");
        if (info.st_uid != 0) return keep::fail("it belongs to uid " + std::to_string(info.st_uid) + ", not to root");
    }
    return {};
}

} // namespace

keep::Result<Candidate> examine(const std::string& path) {
    // O_NONBLOCK: opening a FIFO must not wait for its writer.
    auto fd = keep::sys::open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (!fd) return std::unexpected(fd.error());
    struct stat info{};
    if (fstat(fd->get(), &info) != 0) return keep::fail_errno("stat", path, errno);
    if (auto sound = check_file(fd->get(), info); !sound) return keep::fail_in(path, sound.error());
    if (faccessat(fd->get(), "", X_OK, AT_EMPTY_PATH | AT_EACCESS) != 0 && errno == EACCES)
        return keep::fail(path + ": keepd may not execute it", EACCES);

    const auto read_at = [&](std::uint64_t offset, std::span<char> into) {
        if (offset > static_cast<std::uint64_t>(info.st_size)) return false;
        std::size_t have = 0;
        while (have < into.size()) {
            const auto got =
                pread(fd->get(), into.data() + have, into.size() - have, static_cast<off_t>(offset + have));
            if (got < 0 && errno == EINTR) continue;
            if (got <= 0) return false;
            have += static_cast<std::size_t>(got);
        }
        return true;
    };
    auto image = examine_elf(read_at, static_cast<std::uint64_t>(info.st_size));
    if (!image) return keep::fail_in(path, image.error());
    return Candidate{path, std::move(*fd), std::move(*image)};
}

std::string path_started_by(const std::string& argv0) {
    std::string path = argv0;
    if (path.empty()) return {};
    if (path.find('/') == std::string::npos) {
        const auto found = keep::exec::look_path(path);
        if (!found) return {};
        path = *found;
    }
    if (path[0] != '/') {
        char* here = get_current_dir_name();
        if (here == nullptr) return {};
        path = std::string(here) + "/" + path;
        free(here);
    }
    struct stat by_path{};
    struct stat running{};
    if (stat(path.c_str(), &by_path) != 0 || stat("/proc/self/exe", &running) != 0) return {};
    if (by_path.st_dev != running.st_dev || by_path.st_ino != running.st_ino) return {};
    for (auto dot = path.find("/./"); dot != std::string::npos; dot = path.find("/./"))
        path.erase(dot, 2);
    return path;
}

} // namespace keepd::upgrade
