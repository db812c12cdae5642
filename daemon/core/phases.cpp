#include "daemon/core/phases.hpp"

#include "daemon/core/overloaded.hpp"

namespace keepd::core {

void meet(Turn& turn, Program& program, const ProgramEvent& event) {
    std::visit(overloaded{
                   [&](const Stopped&) { in_stopped(turn, program, event); },
                   [&](const Starting& here) { in_starting(turn, program, here, event); },
                   [&](const Running& here) { in_running(turn, program, here, event); },
                   [&](const Stopping& here) { in_stopping(turn, program, here, event); },
                   [&](const Backoff& here) { in_backoff(turn, program, here, event); },
                   [&](const Completed&) { in_completed(turn, program, event); },
                   [&](const Failed&) { in_failed(turn, program, event); },
               },
               program.phase);
}

} // namespace keepd::core
