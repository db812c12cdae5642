// Reads one log file with its rotated predecessors (PATH.1 is the newest): the last lines, and then what comes,
// over rotations and truncations. Never waits; somebody else watches the directory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/error.hpp"
#include "lib/sys/fd.hpp"

namespace keepd::ctl {

class LogReader {
  public:
    using Sink = std::function<void(std::string_view bytes)>;

    // max_files: the live file and its predecessors.
    LogReader(std::string path, std::uint32_t max_files) : path_(std::move(path)), max_files_(max_files) {}

    const std::string& path() const { return path_; }

    // The last `lines` lines (nothing: all), oldest first; an unfinished line counts. A missing file has none.
    keep::Result<> tail(std::optional<std::size_t> lines, const Sink&);
    // What was written since, in order, each byte once.
    keep::Result<> more(const Sink&);

  private:
    std::string predecessor(std::uint32_t number) const { return path_ + "." + std::to_string(number); }
    keep::Result<> read_to_end(const Sink&);
    keep::Result<> read_newer_files(const Sink&);

    std::string path_;
    std::uint32_t max_files_;
    keep::sys::Fd file_;         // the newest that was read from; none: there was none
    std::uint64_t position_ = 0; // of the next byte in it
};

} // namespace keepd::ctl
