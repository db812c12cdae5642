// keepd-next: a release that is still to come, for tests that go up to it and come down from it with real binaries
// (tests/system/test_skew.py). A build with KEEPD_NEXT has more fields in State (core/state.hpp) and in the handoff
// (upgrade/handoff.hpp), and reads a newer minor (checkpoint/format.hpp); no other build compiles next.cpp.
//
// It does nothing with them but this: whenever it takes over, it says in keepd's log which values it found. Then it
// sets what the file says that keepd's environment names in KEEPD_NEXT, one field on a line: "one note TEXT" (a
// program's, optional), "one weight NUMBER" (a program's, critical), "keepd motto TEXT" (optional).
#pragma once

#ifdef KEEPD_NEXT

#include "daemon/host/log.hpp"
#include "daemon/upgrade/state_file.hpp"

namespace keepd::host {

void use_next_fields(upgrade::Resumed& resumed, Log& log);

// In the handoff: a remark, and a descriptor that stays the same file for good. Both stand since the first keepd-next.
void add_next_fields(upgrade::Handoff& handoff);

} // namespace keepd::host

#endif
