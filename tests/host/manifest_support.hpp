// All that an upgrade hands over, with the manifests of every room.
#pragma once

#include "daemon/checkpoint/live.hpp"
#include "daemon/checkpoint/manifest_notice.hpp"
#include "daemon/control/manifest.hpp"
#include "daemon/logs/manifest.hpp"
#include "daemon/upgrade/handoff.hpp"
#include "daemon/upgrade/manifest.hpp"
#include "tests/host/checkpoint_mark.hpp"
#include "tests/host/checkpoint_support.hpp"

namespace keepd::checkpoint::testing {

struct Whole {
    core::State state;
    upgrade::Handoff handoff;
};

inline Records records_of(const Whole& whole) {
    Records records = encode(whole.state);
    records[upgrade::handoff_key] = save(whole.handoff);
    return records;
}

// The one program of a state, under its own name.
inline void settle(Whole& whole, core::Program program) {
    if (program.spec.name.empty()) program.spec.name = "one";
    keep_promises(program, std::string(program.spec.name), whole.state.daemon.next_run);
    whole.state.programs = {{program.spec.name, program}};
}

// As an upgrade writes it.
inline keep::sys::Fd sealed(const Whole& whole) {
    auto live = Live::create({});
    for (const auto& [key, bytes] : encode(whole.state))
        (void)live->put(key, bytes);
    return *live->sealed_copy({{upgrade::handoff_key, save(whole.handoff)}});
}

} // namespace keepd::checkpoint::testing
