// Signal names and numbers; pure tables, no system call.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace keep {

// "TERM", "SIGTERM", "15", "RTMIN+3", "RTMAX-1": its number; nothing if there is no such signal (0 is none, nor are 32
// and 33, which the C library keeps for itself). Upper case only, as everywhere in the config.
std::optional<int> parse_signal(std::string_view text);

// "SIGTERM"; "SIGRTMIN+3"; "signal 99" for a number without a name.
std::string signal_name(int number);

// All names with SIG, for suggestions.
const std::vector<std::string>& signal_names();

} // namespace keep
