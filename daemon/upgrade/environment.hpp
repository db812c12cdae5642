// Which variables of the original environment go where.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace keepd::upgrade {

// For a new image: the original environment without LISTEN_* (those descriptors were the first image's).
std::vector<std::string> for_new_image(const std::vector<std::string>& original);

// For a rehearsal: also without NOTIFY_SOCKET and WATCHDOG_*, so that it can't speak for keepd.
std::vector<std::string> for_rehearsal(const std::vector<std::string>& original);

} // namespace keepd::upgrade
