#include "daemon/core/plan_diff.hpp"

#include <algorithm>
#include <string_view>

#include "daemon/core/field_diff.hpp"
#include "daemon/core/step.hpp"

namespace keepd::core {

namespace {

std::string reasons(const std::vector<FieldChange>& fields) {
    std::string text;
    for (const FieldChange& field : fields)
        text += (text.empty() ? "" : "; ") + field.field + ": " + field.from + " -> " + field.to;
    return text;
}

// What the change does to the program as it stands now.
std::string_view consequence(const ProgramChange& change, const State& state) {
    switch (change.kind) {
    case ProgramChange::Kind::add: return "add";
    case ProgramChange::Kind::remove: return "remove";
    case ProgramChange::Kind::change: break;
    }
    if (!change.restarts()) return "apply";
    const auto found = state.programs.find(change.name);
    if (found == state.programs.end() || found->second.goal == Goal::up) {
        const bool done = found != state.programs.end() && std::holds_alternative<Completed>(found->second.phase) &&
                          found->second.spec.type == config::Type::simple;
        return done ? "at next start" : "restart";
    }
    return "at next start";
}

} // namespace

bool ProgramChange::restarts() const {
    return std::ranges::any_of(fields, [](const FieldChange& field) { return field.reach == Reach::restart; });
}

PlanDiff diff(const State& state, const config::Plan& next) {
    PlanDiff plan;
    for (const auto& [name, spec] : next.programs) {
        const auto found = state.programs.find(name);
        if (found == state.programs.end() || found->second.goal == Goal::removed) {
            plan.programs.push_back({name, ProgramChange::Kind::add, {}});
            continue;
        }
        std::vector<FieldChange> fields = changed_fields(found->second.spec, spec);
        if (fields.empty())
            ++plan.untouched;
        else
            plan.programs.push_back({name, ProgramChange::Kind::change, std::move(fields)});
    }
    for (const auto& [name, program] : state.programs)
        if (program.goal != Goal::removed && !next.programs.contains(name))
            plan.programs.push_back({name, ProgramChange::Kind::remove, {}});
    std::ranges::sort(plan.programs, {}, &ProgramChange::name);
    plan.daemon = changed_fields(state.daemon.settings, next.daemon);
    return plan;
}

std::vector<std::string> describe(const PlanDiff& plan, const State& state) {
    std::vector<std::string> lines;
    for (const ProgramChange& change : plan.programs) {
        std::string line = change.name + ": " + std::string(consequence(change, state));
        if (!change.fields.empty()) line += " (" + reasons(change.fields) + ")";
        lines.push_back(std::move(line));
    }
    for (const FieldChange& field : plan.daemon) {
        const std::string_view what = field.reach == Reach::live ? "apply" : "at keepd's next start";
        lines.push_back("keepd: " + std::string(what) + " (" + reasons({field}) + ")");
    }
    return lines;
}

} // namespace keepd::core
