#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include <keep/exec/bytes.hpp>

namespace keep::exec {

Bytes::Bytes(Bytes&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)),
      capacity_(std::exchange(other.capacity_, 0)) {}

Bytes& Bytes::operator=(Bytes&& other) noexcept {
    if (this == &other) return *this;
    std::free(data_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    capacity_ = std::exchange(other.capacity_, 0);
    return *this;
}

Bytes::~Bytes() {
    std::free(data_);
}

// realloc(3): the C library moves the pages of a large block (mremap(2)) instead of its bytes.
std::span<char> Bytes::room(std::size_t least) {
    if (capacity_ - size_ < least) {
        const std::size_t wanted = std::max(size_ + least, capacity_ * 2);
        void* grown = std::realloc(data_, wanted);
        if (grown == nullptr) throw std::bad_alloc();
        data_ = static_cast<char*>(grown);
        capacity_ = wanted;
    }
    return {data_ + size_, capacity_ - size_};
}

void Bytes::append(std::string_view bytes) {
    if (bytes.empty()) return;
    std::memcpy(room(bytes.size()).data(), bytes.data(), bytes.size());
    grow(bytes.size());
}

} // namespace keep::exec
