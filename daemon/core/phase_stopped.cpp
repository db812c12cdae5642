// Down and meant to be: an operator stopped it, or it is not started by itself.
#include "daemon/core/overloaded.hpp"
#include "daemon/core/phases.hpp"
#include "daemon/core/transitions.hpp"

namespace keepd::core {

void in_stopped(Turn& turn, Program& program, const ProgramEvent& event) {
    std::visit(overloaded{
                   [&](const StartAsked& e) { start(turn, program, by_operator(e.uid)); },
                   [&](const StopAsked& e) {
                       // Who stopped it first stays written.
                       if (program.why.cause != Cause::operator_) stop_at_once(turn, program, by_operator(e.uid));
                   },
                   [&](const RestartAsked& e) { start(turn, program, by_operator(e.uid)); },
                   [&](const SignalAsked&) {},
                   [&](const Spawned&) {},
                   [&](const SpawnFailed&) {},
                   [&](const Exited&) {},
                   [&](const TreeEmpty&) {},
                   [&](const Survived&) {},
                   [&](const Due&) {},
                   [&](const SpecReplaced&) {}, // takes effect at the next start; a stop outlives reloads
                   [&](const Removed&) { forget(turn, program); },
                   [&](const ShutdownBegan&) {},
                   [&](const PatienceOver&) {},
               },
               event);
}

} // namespace keepd::core
