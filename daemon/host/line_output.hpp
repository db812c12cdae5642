// Lines to a descriptor that may not take them: keepd's own log must not hold keepd up, least of all in an upgrade. A
// pipe that nobody reads, a terminal that was stopped or a journal that hangs costs a tenth of a second once; from then
// on lines that are not taken at once are counted instead. When somebody takes lines again, the number comes first.
//
// A regular file is written to as ever: no call tells beforehand whether its disk hangs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "lib/base/error.hpp"
#include "lib/base/time.hpp"
#include "lib/sys/fd.hpp"

namespace keepd::host {

class LineOutput {
  public:
    // Borrowed: keepd's standard error, whose flags are shared with others and stay as they are.
    explicit LineOutput(int fd);
    // Appends to a file, which is made if it is not there, or to a FIFO or device; opening waits for nobody. Errors:
    // with the path.
    static keep::Result<LineOutput> open(const std::string& path);

    // A line with its newline. What was begun is finished before another line; a line is never cut but by the end.
    void write(std::string_view line);

    int descriptor() const { return fd_; }
    std::uint64_t lost() const { return lost_; } // and not told yet

  private:
    enum class Kind : std::uint8_t { file, socket, other };

    bool send(std::string_view text);
    std::size_t put(std::string_view text) const; // bytes that were taken in time
    std::int64_t try_to_write(std::string_view text) const;

    keep::sys::Fd own_;
    int fd_ = -1;
    Kind kind_ = Kind::other;
    bool hangs_ = false;
    std::string rest_; // of the line that was begun
    std::uint64_t lost_ = 0;
};

} // namespace keepd::host
