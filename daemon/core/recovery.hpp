// What follows from keepd having been killed: whatever it was about to do is done, or done again.
#pragma once

#include "daemon/core/event.hpp"
#include "daemon/core/turn.hpp"

namespace keepd::core {

void recover(Turn& turn, const Recovered& recovered);

} // namespace keepd::core
