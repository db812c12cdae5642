#include "daemon/ctl/table.hpp"

#include <algorithm>

#include "daemon/ctl/text_width.hpp"

namespace keepd::ctl {
namespace {

constexpr std::size_t gap = 2;
constexpr std::size_t least_last = 8; // columns that the last one keeps, however narrow the terminal is

const char* code(Color color) {
    switch (color) {
    case Color::none: return "";
    case Color::bold: return "\033[1m";
    case Color::dim: return "\033[2m";
    case Color::red: return "\033[31m";
    case Color::green: return "\033[32m";
    case Color::yellow: return "\033[33m";
    }
    return "";
}

std::vector<std::size_t> widths(const std::vector<Column>& columns, const std::vector<std::vector<Cell>>& rows) {
    std::vector<std::size_t> found;
    for (std::size_t i = 0; i < columns.size(); ++i) {
        std::size_t width = display_width(columns[i].title);
        for (const auto& row : rows)
            width = std::max(width, display_width(row[i].text));
        found.push_back(width);
    }
    return found;
}

} // namespace

std::string painted(std::string_view text, Color color, const Look& look) {
    if (!look.color || color == Color::none || text.empty()) return std::string(text);
    return code(color) + std::string(text) + "\033[0m";
}

std::string table(const std::vector<Column>& columns, const std::vector<std::vector<Cell>>& rows, const Look& look) {
    const auto width = widths(columns, rows);
    std::size_t before_last = 0;
    for (std::size_t i = 0; i + 1 < columns.size(); ++i)
        before_last += width[i] + gap;

    std::string text;
    const auto line = [&](const auto& cell_of) {
        std::string row;
        std::size_t owed = 0; // blanks before the next text, so that none trail
        for (std::size_t i = 0; i < columns.size(); ++i) {
            Cell cell = cell_of(i);
            const bool last = i + 1 == columns.size();
            if (last && look.columns) {
                const std::size_t room = *look.columns > before_last ? *look.columns - before_last : 0;
                cell.text = fit(cell.text, std::max(room, least_last));
            }
            const std::size_t blanks = width[i] - std::min(width[i], display_width(cell.text));
            if (columns[i].right) owed += blanks;
            if (!cell.text.empty()) {
                row += std::string(owed, ' ') + painted(cell.text, cell.color, look);
                owed = 0;
            }
            owed += gap + (columns[i].right ? 0 : blanks);
        }
        text += row + '\n';
    };
    line([&](std::size_t i) { return Cell{columns[i].title, Color::bold}; });
    for (const auto& row : rows) {
        line([&](std::size_t i) { return row[i]; });
    }
    return text;
}

} // namespace keepd::ctl
