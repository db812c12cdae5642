// What the policy knows of upgrades: which ones may begin, and what has to wait for their end.
#pragma once

#include "daemon/core/event.hpp"
#include "daemon/core/turn.hpp"

namespace keepd::core {

void signal_upgrade(Turn& turn);
void binary_changed(Turn& turn, const BinaryChanged& changed);
void begin_upgrade(Turn& turn, const UpgradeBegun& begun);
void finish_upgrade(Turn& turn, const UpgradeFinished& finished);

// An upgrade that a signal or the watch asked for may be due.
void upgrade_due(Turn& turn);

// When it is; nothing: none waits, or it waits for the end of another.
std::optional<Time> deferred_upgrade_at(const State& state);

} // namespace keepd::core
