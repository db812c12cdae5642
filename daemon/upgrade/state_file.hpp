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
    checkpoint::Unknown unknown; // what a newer image had saved and this one carries along, the handoff's included
    Handoff handoff;
    std::vector<CarriedFd> unclaimed; // descriptors that go along with it; see carry_along()
};

// The records of a handoff, to be added to those of the state.
checkpoint::Records encode(const Handoff& handoff, const checkpoint::Unknown& unknown);

// Errors: the form can't be read, a record holds what this image must not ignore, or there is no handoff in it.
keep::Result<Resumed> read_state(int fd);

// In an image that goes on from here, once: what of the handoff it does not know is carried to the next one. That is
// what stands in the handoff itself (a fact of the first start, say), and the descriptors that it lists and nothing
// here uses: they move to `unclaimed` and stay open, or those fields would name what is no more. What stands in an
// element of a list (a run, a stream, a client) was true at this exec alone and ends here; without any unknown field so
// does a descriptor that nothing uses: it is a stranger then. Returns the elements, for the log.
// So an optional field may come back to the image that knows it as it was at an earlier exec; where that matters,
// Resumed::from tells by its minor whether the writer knew the field.
std::vector<std::string> carry_along(Resumed& resumed);

// What a rehearsal compares: the digest of the state and the handoff as this image encodes them.
std::string digest(const core::State& state, const checkpoint::Unknown& unknown, const Handoff& handoff);

} // namespace keepd::upgrade
