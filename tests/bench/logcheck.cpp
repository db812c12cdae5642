#include "tests/bench/logcheck.hpp"

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string_view>

namespace bench {

namespace {

constexpr std::size_t line_size = 100;

// The number of a whole line, or -1.
std::int64_t number_of(std::string_view line) {
    if (line.size() != line_size || !line.starts_with("SEQ=") || line[16] != ' ') return -1;
    std::int64_t number = 0;
    for (const char digit : line.substr(4, 12)) {
        if (digit < '0' || digit > '9') return -1;
        number = number * 10 + (digit - '0');
    }
    return line.find_first_not_of('x', 17) == line_size - 1 ? number : -1;
}

} // namespace

LogCheck check_logs(const std::vector<std::string>& files) {
    LogCheck check;
    std::string line;
    std::vector<char> buffer(1 << 20);
    for (const std::string& path : files) {
        ++check.files;
        const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"), std::fclose);
        if (!file) {
            ++check.wrong;
            continue;
        }
        line.clear(); // a line that goes on in the next file is two torn ones
        while (const std::size_t got = std::fread(buffer.data(), 1, buffer.size(), file.get())) {
            std::string_view bytes(buffer.data(), got);
            while (!bytes.empty()) {
                const std::size_t end = bytes.find('\n');
                line.append(bytes.substr(0, end == bytes.npos ? end : end + 1));
                if (end == bytes.npos) break;
                bytes.remove_prefix(end + 1);
                if (number_of(line) != static_cast<std::int64_t>(check.lines)) ++check.wrong;
                ++check.lines;
                line.clear();
            }
        }
        if (!line.empty()) ++check.files_cut;
    }
    return check;
}

} // namespace bench
