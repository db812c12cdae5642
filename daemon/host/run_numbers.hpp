// Run numbers are never reused, also not by the next keepd on this host: state_dir remembers how far they may have
// gone.
#pragma once

#include <cstdint>
#include <string>

namespace keepd::host {

struct RunNumbers {
    std::uint64_t first = 1; // the next run's
    std::string problem;     // why they may be used again; "" if they won't
};

// At the first start: the next number, and a range reserved from there by one small write. After a crash of keepd the
// rest of the range is skipped; a keepd that needs more than the range and then crashes may see numbers again.
RunNumbers reserve_run_numbers(const std::string& state_dir);

// At the orderly end: what was not used is free for the next keepd.
void give_back_run_numbers(const std::string& state_dir, std::uint64_t next);

} // namespace keepd::host
