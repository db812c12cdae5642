// What a single program can meet: events of the outside that name it, and what follows for it from events about
// keepd. Each phase answers every one of them (phases.hpp).
#pragma once

#include <functional>
#include <variant>

#include "daemon/core/event.hpp"
#include "daemon/core/plan_diff.hpp"

namespace keepd::core {

// The phase's own deadline has come.
struct Due {};
inline constexpr Due due;
// A reload brought another spec: program.spec is the new one already, `before` the old one.
struct SpecReplaced {
    const config::Program& before;
    const ProgramChange& change;
};
// A reload took the program out of the config.
struct Removed {};
inline constexpr Removed removed;
// keepd is ending; nothing is to run any more.
struct ShutdownBegan {};
inline constexpr ShutdownBegan shutdown_began;
// ... and its patience has ended: SIGKILL now.
struct PatienceOver {};
inline constexpr PatienceOver patience_over;

template <typename... Events>
using OneOf = std::variant<std::reference_wrapper<const Events>...>;

using ProgramEvent = OneOf<StartAsked, StopAsked, RestartAsked, SignalAsked, Spawned, SpawnFailed, Exited, TreeEmpty,
                           Survived, Due, SpecReplaced, Removed, ShutdownBegan, PatienceOver>;

} // namespace keepd::core
