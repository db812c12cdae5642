// Memory for captured output: it grows without being copied, and its new pages are not written twice, which a
// std::string of a gigabyte cannot do.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <keep/exec/api.hpp>

namespace keep::exec {

// Owns a run of bytes. Move-only.
class Bytes {
  public:
    Bytes() = default;
    KEEPEXEC_API Bytes(Bytes&& other) noexcept;
    KEEPEXEC_API Bytes& operator=(Bytes&& other) noexcept;
    KEEPEXEC_API ~Bytes();

    const char* data() const noexcept { return data_; }
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    std::string_view view() const noexcept { return {data_, size_}; }
    operator std::string_view() const noexcept { return view(); } // NOLINT(google-explicit-constructor)
    std::string str() const { return std::string(view()); }

    friend bool operator==(const Bytes& a, std::string_view b) noexcept { return a.view() == b; }

    // At least `least` bytes of uninitialised room behind the end; std::bad_alloc if there is no memory.
    KEEPEXEC_API std::span<char> room(std::size_t least);
    void grow(std::size_t used) noexcept { size_ += used; } // so much of room() has been written
    KEEPEXEC_API void append(std::string_view bytes);

  private:
    char* data_ = nullptr; // of malloc(3)
    std::size_t size_ = 0;
    std::size_t capacity_ = 0;
};

} // namespace keep::exec
