#include "tests/core/effect_text.hpp"

#include "daemon/core/describe.hpp"
#include "daemon/core/overloaded.hpp"
#include "lib/base/signals.hpp"

namespace keepd::core::test {

namespace {

std::string scope_text(config::KillMode mode) {
    switch (mode) {
    case config::KillMode::tree: return " (tree)";
    case config::KillMode::group: return " (group)";
    case config::KillMode::process: return " (process)";
    }
    return {};
}

std::string goal_text(const Program& program) {
    switch (program.goal) {
    case Goal::up: return ", then up";
    case Goal::down: return "";
    case Goal::removed: return ", then removed";
    }
    return {};
}

std::string notice_text(const Notice& notice) {
    std::string text = "\"";
    if (!notice.program.empty()) text += notice.program + ": ";
    return text + notice.text + "\"";
}

} // namespace

std::string run_text(const std::string& name, RunId run) {
    return name + "#" + std::to_string(run.value);
}

std::string time_text(Time at) {
    return keep::to_text(at.time_since_epoch());
}

std::string phase_text(const Program& program) {
    const std::string word(state_word(program));
    return std::visit(overloaded{
                          [&](const Stopped&) { return word; },
                          [&](const Starting&) { return word; },
                          [&](const Running& here) { return word + " pid=" + std::to_string(here.pid); },
                          [&](const Stopping& here) {
                              return word + (here.ended ? " leftovers" : "") + ", next at " + time_text(here.next_at) +
                                     (here.ordered ? goal_text(program) : "");
                          },
                          [&](const Backoff& here) { return word + " until " + time_text(here.until); },
                          [&](const Completed&) { return word; },
                          [&](const Failed&) { return word; },
                      },
                      program.phase);
}

std::string action_text(const Action& action) {
    return std::visit(overloaded{
                          [](const Spawn& a) { return "spawn " + run_text(a.name, a.run); },
                          [](const Signal& a) {
                              return keep::signal_name(a.signal) + " " + run_text(a.name, a.run) + scope_text(a.scope);
                          },
                          [](const FindSurvivors& a) { return "find survivors of " + run_text(a.name, a.run); },
                          [](const Retire& a) { return "retire " + run_text(a.name, a.run); },
                          [](const ArrangeLogs& a) { return "arrange logs of " + a.name; },
                          [](const ApplySettings& a) {
                              std::string text = "apply settings";
                              for (const std::string& field : a.fields)
                                  text += " " + field;
                              return text;
                          },
                          [](const BeginReload&) { return std::string("begin reload"); },
                          [](const BeginUpgrade& a) {
                              return std::string(a.if_changed ? "begin upgrade if changed" : "begin upgrade");
                          },
                          [](const Quit& a) { return "quit " + std::to_string(a.code); },
                          [](const Announce& a) { return notice_text(a.notice); },
                      },
                      action);
}

} // namespace keepd::core::test
