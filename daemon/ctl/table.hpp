// Text in aligned columns, with colours where they are wanted. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace keepd::ctl {

enum class Color : std::uint8_t { none, bold, dim, red, green, yellow };

// How output is to look; what main() found out about the terminal.
struct Look {
    bool color = false;
    std::optional<std::size_t> columns; // of the terminal; nothing: not a terminal, lines may be of any length
};

// The text in that colour, or plain.
std::string painted(std::string_view text, Color color, const Look&);

struct Cell {
    std::string text;
    Color color = Color::none;
};

struct Column {
    std::string title;
    bool right = false; // aligned
};

// The last column is left-aligned and is cut where the terminal is too narrow. No trailing blanks.
std::string table(const std::vector<Column>& columns, const std::vector<std::vector<Cell>>& rows, const Look&);

} // namespace keepd::ctl
