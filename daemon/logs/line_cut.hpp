// Where a full log file may end: at a line end, or inside a line that is longer than 1 MiB. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace keepd::logs {

// A line longer than this is cut where a file is full. It is also the distance from the limit at which bytes begin to
// be looked at: a line without an end over that whole distance is then cut exactly at the limit.
inline constexpr std::uint64_t longest_line = std::uint64_t{1} << 20;

// What is known of the line that the file ends in.
struct LineState {
    bool at_start = true;     // the last byte is known to be a newline, or there is none
    std::uint64_t length = 0; // bytes of the unfinished line that were looked at

    // These bytes were appended.
    void append(std::string_view bytes);
    // Bytes were appended that nobody looked at.
    void append_unseen() { *this = {false, 0}; }
};

// What is to be done with bytes that were looked at: the first `take` of them go into the file; then, if all of those
// are written, it is rotated where `rotate` says so.
struct Cut {
    std::size_t take = 0;
    bool rotate = false;
    bool operator==(const Cut&) const = default;
};

// A decision is a function of what lies in the pipe and the file, so one that was carried out in part (a disk that
// filled up, a park) is simply made again.
//   seen    the next bytes of the pipe, at least one
//   more    the pipe probably holds more than them: a partial line at their end is better looked at again, whole
//   offset  the size of the file; limit: the size it should not exceed
Cut cut_at_line_end(std::string_view seen, bool more, std::uint64_t offset, std::uint64_t limit, LineState line);

} // namespace keepd::logs
