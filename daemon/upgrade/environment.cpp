#include "daemon/upgrade/environment.hpp"

#include <algorithm>
#include <initializer_list>

namespace keepd::upgrade {

namespace {

std::vector<std::string> without(const std::vector<std::string>& original,
                                 std::initializer_list<std::string_view> prefixes) {
    std::vector<std::string> kept;
    for (const auto& variable : original)
        if (std::ranges::none_of(prefixes, [&](std::string_view prefix) { return variable.starts_with(prefix); }))
            kept.push_back(variable);
    return kept;
}

} // namespace

std::vector<std::string> for_new_image(const std::vector<std::string>& original) {
    return without(original, {"LISTEN_"});
}

std::vector<std::string> for_rehearsal(const std::vector<std::string>& original) {
    return without(original, {"LISTEN_", "NOTIFY_SOCKET=", "WATCHDOG_"});
}

} // namespace keepd::upgrade
