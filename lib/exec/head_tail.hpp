// The beginning and the end of a stream, for messages: Go's prefixSuffixSaver.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace keep::exec {

// Keeps the first `limit` and the last `limit` bytes of what is appended.
class HeadTail {
  public:
    explicit HeadTail(std::size_t limit) : limit_(limit) {}

    void append(std::string_view bytes);
    // All of it up to 2 * limit; beyond, "\n... omitting N bytes ...\n" stands for what was left out.
    std::string text() const;

  private:
    std::size_t limit_;
    std::string head_;
    std::string tail_;       // a ring once it is full
    std::size_t oldest_ = 0; // where the ring begins
    std::uint64_t omitted_ = 0;
};

} // namespace keep::exec
