#include "lib/sys/memfd.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace keep::sys {
namespace {

constexpr int content_seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

} // namespace

Result<Fd> create_memfd(const std::string& name) {
    const int fd = ::memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) return fail_errno("memfd_create", name, errno);
    return Fd::adopt(fd);
}

Result<> seal(int memfd) {
    if (::fcntl(memfd, F_ADD_SEALS, content_seals | F_SEAL_SEAL) == 0) return {};
    return fail_errno("seal descriptor", std::to_string(memfd), errno);
}

Result<bool> is_sealed(int memfd) {
    const int seals = ::fcntl(memfd, F_GET_SEALS);
    if (seals < 0) return fail_errno("read seals of descriptor", std::to_string(memfd), errno);
    return (seals & content_seals) == content_seals;
}

Result<Fd> sealed_copy(const std::string& name, std::string_view bytes) {
    auto fd = create_memfd(name);
    if (!fd) return fd;
    if (auto written = write_all(fd->get(), bytes); !written) return fail_in("memfd '" + name + "'", written.error());
    if (auto sealed = seal(fd->get()); !sealed) return std::unexpected(sealed.error());
    if (::lseek(fd->get(), 0, SEEK_SET) != 0) return fail_errno("rewind memfd", name, errno);
    return fd;
}

Result<std::size_t> size_of(int fd) {
    struct stat about{};
    if (::fstat(fd, &about) != 0) return fail_errno("fstat descriptor", std::to_string(fd), errno);
    return static_cast<std::size_t>(about.st_size);
}

Result<> resize(int fd, std::size_t bytes) {
    if (::ftruncate(fd, static_cast<off_t>(bytes)) == 0) return {};
    return fail_errno("ftruncate descriptor", std::to_string(fd), errno);
}

Result<> allocate(int fd, std::size_t offset, std::size_t bytes) {
    rlimit largest{};
    if (::getrlimit(RLIMIT_FSIZE, &largest) == 0 && largest.rlim_cur != RLIM_INFINITY &&
        offset + bytes > largest.rlim_cur)
        return fail_errno("fallocate descriptor", std::to_string(fd), EFBIG);
    while (::fallocate(fd, 0, static_cast<off_t>(offset), static_cast<off_t>(bytes)) != 0)
        if (errno != EINTR) return fail_errno("fallocate descriptor", std::to_string(fd), errno);
    return {};
}

Result<> punch_hole(int fd, std::size_t offset, std::size_t bytes) {
    constexpr int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    if (::fallocate(fd, mode, static_cast<off_t>(offset), static_cast<off_t>(bytes)) == 0) return {};
    return fail_errno("punch a hole into descriptor", std::to_string(fd), errno);
}

Result<Mapping> Mapping::of(int fd, Access access) {
    const auto size = size_of(fd);
    if (!size) return std::unexpected(size.error());
    if (*size == 0) return Mapping();
    const int protection = access == Access::read_write ? PROT_READ | PROT_WRITE : PROT_READ;
    // A sealed file refuses shared mappings that could be made writable; private ones of it never differ from it.
    const int sharing = access == Access::read_write ? MAP_SHARED : MAP_PRIVATE;
    const auto sealed = is_sealed(fd);
    void* at = ::mmap(nullptr, *size, protection, sealed.value_or(false) ? sharing : MAP_SHARED, fd, 0);
    if (at == MAP_FAILED) return fail_errno("mmap descriptor", std::to_string(fd), errno);
    return Mapping(static_cast<std::byte*>(at), *size);
}

Mapping::Mapping(Mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
    if (this != &other) {
        reset();
        data_ = std::exchange(other.data_, nullptr);
        size_ = std::exchange(other.size_, 0);
    }
    return *this;
}

Result<> Mapping::resize(int fd, std::size_t bytes) {
    const std::size_t before = size_;
    if (auto done = sys::resize(fd, bytes); !done) return done;
    if (data_ == nullptr || bytes == 0) {
        reset();
        auto fresh = of(fd, Access::read_write);
        if (!fresh) return std::unexpected(fresh.error());
        *this = std::move(*fresh);
        return {};
    }
    void* at = ::mremap(data_, size_, bytes, MREMAP_MAYMOVE);
    if (at == MAP_FAILED) {
        const int code = errno;
        if (bytes > before) (void)sys::resize(fd, before);
        return fail_errno("mremap descriptor", std::to_string(fd), code);
    }
    data_ = static_cast<std::byte*>(at);
    size_ = bytes;
    return {};
}

void Mapping::reset() noexcept {
    if (data_ != nullptr) ::munmap(data_, size_);
    data_ = nullptr;
    size_ = 0;
}

} // namespace keep::sys
