// What an image hands to the next one: the sealed memfd with every record of the checkpoint and the handoff.
#pragma once

#include "daemon/checkpoint/live.hpp"
#include "daemon/checkpoint/unknown.hpp"
#include "daemon/core/state.hpp"
#include "daemon/upgrade/handoff.hpp"
#include "lib/base/error.hpp"

namespace keepd::upgrade {

struct Resumed {
    checkpoint::Header from;
    core::State state;
    checkpoint::Unknown unknown; // what a newer image had saved and this one carries along
    Handoff handoff;
};

// The records of a handoff, to be added to those of the state.
checkpoint::Records encode(const Handoff& handoff);

// Errors: the form can't be read, a record holds what this image must not ignore, or there is no handoff in it.
keep::Result<Resumed> read_state(int fd);

// What a rehearsal compares: the digest of the state and the handoff as this image encodes them.
std::string digest(const core::State& state, const checkpoint::Unknown& unknown, const Handoff& handoff);

} // namespace keepd::upgrade
