// Given up: by policy, or by the start limit.
#include "daemon/core/overloaded.hpp"
#include "daemon/core/phases.hpp"
#include "daemon/core/transitions.hpp"

namespace keepd::core {

void in_failed(Turn& turn, Program& program, const ProgramEvent& event) {
    std::visit(overloaded{
                   [&](const StartAsked& e) { start(turn, program, by_operator(e.uid)); },
                   [&](const StopAsked& e) { stop_at_once(turn, program, by_operator(e.uid)); },
                   [&](const RestartAsked& e) { start(turn, program, by_operator(e.uid)); },
                   [&](const SignalAsked&) {},
                   [&](const Spawned&) {},
                   [&](const SpawnFailed&) {},
                   [&](const Exited&) {},
                   [&](const TreeEmpty&) {},
                   [&](const Survived&) {},
                   [&](const Due&) {},
                   [&](const SpecReplaced& e) {
                       // The operator has mended the config: that is the wish to see it run.
                       if (e.change.restarts()) start(turn, program, changed_by_reload(e.change));
                   },
                   [&](const Removed&) { forget(turn, program); },
                   [&](const ShutdownBegan&) {}, // why it failed stays readable
                   [&](const PatienceOver&) {},
               },
               event);
}

} // namespace keepd::core
