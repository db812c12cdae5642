// Methods that change keepd as a whole: its config, its binary.
#include <cerrno>
#include <nlohmann/json.hpp>

#include "daemon/control/answers.hpp"
#include "daemon/control/methods.hpp"
#include "daemon/control/parameters.hpp"
#include "daemon/control/views.hpp"
#include "daemon/control/waits.hpp"
#include "daemon/core/step.hpp"

namespace keepd::control {
namespace {

using nlohmann::json;

std::string plan_text(const core::PlanDiff& plan, const core::State& before) {
    return to_text(json{{"plan", plan_view(plan, before)}});
}

} // namespace

std::optional<Answer> reload(Call& call) {
    Parameters parameters(*call.request.parameters);
    const bool dry_run = parameters.flag("dry_run", false);
    const bool wait = parameters.flag("wait", true) && !call.request.oneway;
    if (const auto wrong = parameters.wrong()) return invalid_parameter(*wrong);
    if (!dry_run && is_shutting_down(call.port.state())) return refused("keepd is shutting down");

    const auto plan = dry_run ? call.port.plan() : call.port.prepare_reload();
    if (!plan) {
        // Left to the policy too, so that status and log know of the attempt as they would of a SIGHUP's; but not for
        // after an upgrade, when the file may be another: who is told "nothing was changed" can rely on it.
        if (!dry_run && !call.port.state().daemon.upgrading) call.port.submit(core::ReloadAsked{});
        return config_wrong(plan.error());
    }
    Pending pending{.kind = Pending::Kind::reload,
                    .wait = wait,
                    .first = core::RunId{call.port.state().daemon.next_run},
                    .method = "Reload",
                    .answer = plan_text(*plan, call.port.state())};
    if (dry_run) return outcome({}, pending.answer);

    call.port.submit(core::ReloadAsked{});
    if (call.port.state().daemon.deferred.reload) { // until the upgrade that is under way has ended
        // The file is read then; what it says now is nobody's promise.
        if (!wait) return outcome({}, to_text(later_plan("reloading as soon as the upgrade is over")));
        pending.answer.clear();
        call.pending = std::move(pending);
        return std::nullopt;
    }
    auto answer = reload_ended(pending, call.port.state(), call.port.now());
    if (!answer) call.pending = std::move(pending);
    return answer;
}

std::optional<Answer> upgrade(Call& call) {
    Parameters parameters(*call.request.parameters);
    UpgradeRequest request;
    request.binary = parameters.text("binary").value_or("");
    request.force = parameters.flag("force", false);
    request.rehearse_only = parameters.flag("rehearse_only", false);
    request.if_changed = parameters.flag("if_changed", false);
    request.uid = call.caller.uid;
    const bool wait = parameters.flag("wait", true) && !call.request.oneway;
    if (const auto wrong = parameters.wrong()) return invalid_parameter(*wrong);
    if (request.if_changed && (request.force || request.rehearse_only)) return invalid_parameter("if_changed");

    const Identity identity = call.port.identity();
    const json before = {{"from", {{"version", identity.version}, {"build_id", identity.build_id}}},
                         {"generation", call.port.state().daemon.generation},
                         {"asked_ns", call.port.now().time.time_since_epoch().count()}};
    // In place before it begins: it may end before begin_upgrade() returns.
    call.pending = {.kind = Pending::Kind::upgrade, .method = "Upgrade", .answer = to_text(before)};
    if (const auto begun = call.port.begin_upgrade(request); !begun) {
        call.pending = {};
        return begun.error().code == EBUSY ? busy(begun.error().message) : refused(begun.error().message);
    }
    if (wait || call.pending.kind == Pending::Kind::none) return std::nullopt;
    const Answer begun = upgrade_answer(call.pending, call.port.state(), identity, true, 0, "begun");
    call.pending = {};
    return begun;
}

} // namespace keepd::control
