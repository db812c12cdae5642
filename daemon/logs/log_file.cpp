#include "daemon/logs/log_file.hpp"

#include <cerrno>
#include <cstdint>
#include <fcntl.h>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>

namespace keepd::logs {

using keep::fail_errno;
using keep::Result;
using keep::sys::Fd;

namespace {

constexpr mode_t file_mode = 0640;
constexpr mode_t directory_mode = 0750;

// These links are the system's own, and the only way to name one's standard error.
bool may_be_link(std::string_view path) {
    return path == "/dev/stdout" || path == "/dev/stderr" || path.starts_with("/dev/fd/") ||
           path.starts_with("/proc/self/fd/");
}

int open_flags(std::string_view path) {
    const int flags = O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    return may_be_link(path) ? flags : flags | O_CREAT | O_NOFOLLOW;
}

Result<> make_directories(const std::string& path) {
    for (std::size_t slash = path.find('/', 1); slash != path.npos; slash = path.find('/', slash + 1)) {
        const std::string directory = path.substr(0, slash);
        if (::mkdir(directory.c_str(), directory_mode) == 0 || errno == EEXIST) continue;
        // A directory above that exists on a read-only or foreign filesystem answers something else than EEXIST.
        const int code = errno;
        struct stat status{};
        if (::stat(directory.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) continue;
        return fail_errno("make directory", directory, code);
    }
    return {};
}

Result<FileKind> kind_of(int fd) {
    struct stat status{};
    if (::fstat(fd, &status) != 0) return fail_errno("look at", "", errno);
    if (S_ISREG(status.st_mode)) return FileKind::regular;
    if (S_ISFIFO(status.st_mode) || S_ISCHR(status.st_mode)) return FileKind::sequential;
    return keep::fail("neither a file nor a FIFO nor a character device", EINVAL);
}

bool exists(const std::string& path) {
    struct stat status{};
    return ::lstat(path.c_str(), &status) == 0;
}

std::string numbered(const std::string& path, std::uint32_t number) {
    return number == 0 ? path : path + "." + std::to_string(number);
}

} // namespace

Result<LogFile> LogFile::adopt(Fd fd) {
    LogFile file;
    const auto kind = kind_of(fd.get());
    if (!kind) return std::unexpected(kind.error());
    file.fd_ = std::move(fd);
    file.kind_ = *kind;
    const int flags = ::fcntl(file.fd(), F_GETFL);
    if (file.kind_ == FileKind::regular && flags >= 0 && (flags & O_APPEND)) {
        file.kind_ = FileKind::appending;
        file.copies_ = true;
    }
    file.seek_end();
    return file;
}

Result<LogFile> LogFile::open(Io& io, const std::string& path) {
    int fd = io.open(path.c_str(), open_flags(path), file_mode);
    if (fd < 0 && errno == ENOENT && !may_be_link(path)) {
        if (auto made = make_directories(path); !made) return std::unexpected(made.error());
        fd = io.open(path.c_str(), open_flags(path), file_mode);
    }
    if (fd < 0) {
        const int code = errno;
        if (code == ELOOP) return keep::fail("open '" + path + "': a symbolic link, which is not followed", code);
        if (code == ENXIO) return keep::fail("open '" + path + "': nobody reads there", code);
        return fail_errno("open", path, code);
    }
    Fd owned = Fd::adopt(fd);
    // Reached through a link it may have other writers at other offsets: only O_APPEND keeps everybody's bytes.
    if (may_be_link(path)) {
        const auto kind = kind_of(fd);
        if (kind && *kind == FileKind::regular) ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_APPEND);
    }
    auto file = adopt(std::move(owned));
    if (!file) return keep::fail_in("open '" + path + "'", file.error());
    return file;
}

void LogFile::seek_end() {
    if (kind_ != FileKind::regular) return;
    struct stat status{};
    if (::fstat(fd_.get(), &status) == 0) offset_ = status.st_size;
}

bool LogFile::is_at(const std::string& path) const {
    struct stat there{};
    struct stat here{};
    return ::lstat(path.c_str(), &there) == 0 && ::fstat(fd_.get(), &here) == 0 && there.st_ino == here.st_ino &&
           there.st_dev == here.st_dev;
}

std::optional<bool> LogFile::ends_in_newline() const {
    if (kind_ != FileKind::regular) return {};
    if (offset_ == 0) return true;
    // Our own descriptor is for writing; the file may be at another path by now.
    const std::string self = "/proc/self/fd/" + std::to_string(fd_.get());
    const Fd reader = Fd::adopt(::open(self.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    char last = 0;
    if (!reader || ::pread(reader.get(), &last, 1, offset_ - 1) != 1) return {};
    return last == '\n';
}

Result<> shift_rotated(Io& io, const std::string& path, std::uint32_t max_files) {
    for (std::uint32_t extra = max_files; extra > 0 && ::unlink(numbered(path, extra).c_str()) == 0; ++extra) {
    }
    if (max_files <= 1) {
        if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail_errno("remove", path, errno);
        return {};
    }
    std::uint32_t free_number = 1;
    while (free_number < max_files - 1 && exists(numbered(path, free_number)))
        ++free_number;
    for (std::uint32_t number = free_number; number > 0; --number) {
        const std::string from = numbered(path, number - 1);
        if (io.rename(from.c_str(), numbered(path, number).c_str()) != 0) return fail_errno("rename", from, errno);
    }
    return {};
}

} // namespace keepd::logs
