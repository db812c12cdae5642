// Memory that has a descriptor: it survives execve(2), can be passed on, sealed and mapped. memfd_create(2), mmap(2).
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "lib/base/error.hpp"
#include "lib/sys/fd.hpp"

namespace keep::sys {

// An empty memfd that allows sealing, close-on-exec. `name` shows in /proc/PID/fd only; at most 249 bytes.
Result<Fd> create_memfd(const std::string& name);

// No one can write, grow or shrink it any more, nor take the seals off. Fails with EBUSY while it is mapped writable.
Result<> seal(int memfd);
Result<bool> is_sealed(int memfd); // against writing, growing and shrinking

// A sealed memfd that holds `bytes`, its offset at 0.
Result<Fd> sealed_copy(const std::string& name, std::string_view bytes);

Result<std::size_t> size_of(int fd);        // fstat(2), bytes
Result<> resize(int fd, std::size_t bytes); // ftruncate(2); new bytes read as zero

// Makes the pages of this range exist, growing the file where it is shorter, so that a later touch of the mapping can't
// fail (SIGBUS). fallocate(2). Errors: ENOSPC, ENOMEM; EFBIG beyond RLIMIT_FSIZE, without the SIGXFSZ.
Result<> allocate(int fd, std::size_t offset, std::size_t bytes);
// Gives the pages of this range back; they read as zero. The size stays. fallocate(2), FALLOC_FL_PUNCH_HOLE.
Result<> punch_hole(int fd, std::size_t offset, std::size_t bytes);

enum class Access { read_only, read_write };

// The bytes of a descriptor in memory, shared with every other mapping of it. Move-only; unmaps in its destructor.
// Does not own the descriptor, which may be closed while the mapping lives on.
// Who shrinks the file below a mapping makes a touch beyond its end a SIGBUS: map sealed files, or your own.
class Mapping {
  public:
    // The whole file as it is now. An empty file gives an empty mapping.
    static Result<Mapping> of(int fd, Access access);

    Mapping() = default;
    Mapping(Mapping&& other) noexcept;
    Mapping& operator=(Mapping&& other) noexcept;
    ~Mapping() { reset(); }

    std::byte* data() const { return data_; }
    std::size_t size() const { return size_; }
    std::span<std::byte> bytes() const { return {data_, size_}; }
    std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }

    // Sets the file's size and maps it so; may move data(). `fd` must be the mapped one, the mapping read_write. On
    // failure the mapping is as before.
    Result<> resize(int fd, std::size_t bytes);
    void reset() noexcept;

  private:
    Mapping(std::byte* data, std::size_t size) : data_(data), size_(size) {}
    std::byte* data_ = nullptr;
    std::size_t size_ = 0;
};

} // namespace keep::sys
