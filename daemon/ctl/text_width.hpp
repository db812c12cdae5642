// How wide text is on a terminal, and text made to fit. Pure; UTF-8 whatever the locale says.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace keepd::ctl {

// Columns: wide characters (CJK, emoji) count two, combining ones none. Broken UTF-8 counts one a byte.
std::size_t display_width(std::string_view text);

// The text, or its beginning and an ellipsis, in at most `columns` columns; "" for 0.
std::string fit(std::string_view text, std::size_t columns);

// Control characters and broken UTF-8 made visible as '?', so that a program's words can't drive the terminal.
// Newlines and tabs become spaces.
std::string printable(std::string_view text);

// Order for people: digits compare as numbers, so web@2 comes before web@10.
bool natural_less(std::string_view left, std::string_view right);

} // namespace keepd::ctl
