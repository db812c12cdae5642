#include "daemon/logs/line_cut.hpp"

#include <algorithm>
#include <cstdint>

namespace keepd::logs {

void LineState::append(std::string_view bytes) {
    if (bytes.empty()) return;
    const std::size_t newline = bytes.rfind('\n');
    length = newline == bytes.npos ? length + bytes.size() : bytes.size() - newline - 1;
    at_start = bytes.back() == '\n';
}

namespace {

// Lets the file grow beyond its limit until the line ends, or is too long.
Cut finish_line(std::string_view seen, std::uint64_t offset, std::uint64_t room, LineState line) {
    const std::size_t newline = seen.find('\n', room);
    const std::size_t end = newline == seen.npos ? seen.size() : newline + 1;
    const std::uint64_t already = offset == 0 ? 0 : std::min(line.length, longest_line);
    const std::uint64_t allowed = longest_line - already;
    if (end > allowed) return {static_cast<std::size_t>(allowed), true};
    // With nothing behind the newline the rotation waits for the next byte: the live file is then never empty.
    return {end, newline != seen.npos && end < seen.size()};
}

} // namespace

Cut cut_at_line_end(std::string_view seen, bool more, std::uint64_t offset, std::uint64_t limit, LineState line) {
    const std::uint64_t room = limit > offset ? limit - offset : 0;
    if (seen.size() <= room) {
        const std::size_t newline = more ? seen.rfind('\n') : seen.npos;
        return {newline == seen.npos ? seen.size() : newline + 1, false};
    }
    const std::size_t last = seen.substr(0, room).rfind('\n');
    if (last != seen.npos) return {last + 1, true};
    if (line.at_start && offset > 0) return {0, true};
    return finish_line(seen, offset, room, line);
}

} // namespace keepd::logs
