// Ended as it should; no restart is due.
#include "daemon/core/overloaded.hpp"
#include "daemon/core/phases.hpp"
#include "daemon/core/transitions.hpp"

namespace keepd::core {

void in_completed(Turn& turn, Program& program, const ProgramEvent& event) {
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
                       // A oneshot's work was done by the old spec; the new one has not been done yet.
                       const bool oneshot =
                           program.spec.type == config::Type::oneshot || e.before.type == config::Type::oneshot;
                       if (oneshot && e.change.restarts()) start(turn, program, changed_by_reload(e.change));
                   },
                   [&](const Removed&) { forget(turn, program); },
                   [&](const ShutdownBegan&) {}, // how it ended stays readable
                   [&](const PatienceOver&) {},
               },
               event);
}

} // namespace keepd::core
