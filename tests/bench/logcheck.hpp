// Checks what a log writer of the benchmark wrote: 100-byte lines "SEQ=000000000000 xxx...\n", numbered from 0.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace bench {

struct LogCheck {
    std::uint64_t lines = 0;
    std::uint64_t wrong = 0; // lines that are torn, or not the next number
    std::uint64_t files = 0;
    std::uint64_t files_cut = 0; // files that do not end in a newline
    bool complete(std::uint64_t expected) const { return lines == expected && wrong == 0 && files_cut == 0; }
};

// The files in the order in which they were written.
LogCheck check_logs(const std::vector<std::string>& files);

} // namespace bench
