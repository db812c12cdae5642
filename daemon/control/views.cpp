#include "daemon/control/views.hpp"

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "daemon/core/describe.hpp"
#include "lib/base/signals.hpp"

namespace keepd::control {
namespace {

using nlohmann::json;

double seconds(keep::Duration duration) {
    return static_cast<double>(duration / std::chrono::milliseconds(1)) / 1000.0; // ms are enough, and read better
}

json seconds_or_null(const std::optional<keep::Duration>& duration) {
    return duration ? json(seconds(*duration)) : json(nullptr);
}

json pid_or_null(int pid) {
    return pid > 0 ? json(pid) : json(nullptr);
}

json time_or_null(const std::optional<keep::WallTime>& time) {
    return time ? json(keep::to_rfc3339(*time)) : json(nullptr);
}

json outcome_view(const std::optional<core::Outcome>& outcome) {
    if (!outcome) return nullptr;
    return {{"at", keep::to_rfc3339(outcome->at)}, {"ok", outcome->ok}, {"text", outcome->text}};
}

struct StageWord {
    const char* operator()(const core::Serving&) const { return "serving"; }
    const char* operator()(const core::ShuttingDown&) const { return "shutting_down"; }
    const char* operator()(const core::Over&) const { return "over"; }
};

const char* word(core::Notice::Level level) {
    using enum core::Notice::Level;
    switch (level) {
    case info: return "info";
    case warning: return "warning";
    case error: return "error";
    }
    return "";
}

const char* word(core::Reach reach) {
    using enum core::Reach;
    switch (reach) {
    case live: return "live";
    case next_start: return "next_start";
    case restart: return "restart";
    }
    return "";
}

const char* word(core::ProgramChange::Kind kind) {
    using enum core::ProgramChange::Kind;
    switch (kind) {
    case add: return "add";
    case remove: return "remove";
    case change: return "change";
    }
    return "";
}

const char* word(config::Output::Kind kind) {
    using enum config::Output::Kind;
    switch (kind) {
    case file: return "file";
    case null: return "null";
    case inherit: return "inherit";
    case to_stdout: return "to_stdout";
    }
    return "";
}

json fields_view(const std::vector<core::FieldChange>& fields) {
    json list = json::array();
    for (const core::FieldChange& field : fields) {
        list.push_back({{"field", field.field}, {"reach", word(field.reach)}, {"from", field.from}, {"to", field.to}});
    }
    return list;
}

json log_view(const config::Program& program, const std::map<std::string, logs::StreamStatus>& log_status) {
    json view = json::object();
    for (const auto& [stream, output] : {std::pair("stdout", &program.out), std::pair("stderr", &program.err)}) {
        const auto found = log_status.find(program.name + "/" + stream);
        if (found == log_status.end()) continue;
        const logs::StreamStatus& status = found->second;
        view[stream] = {{"path", output->path},
                        {"bytes", status.bytes},
                        {"dropped_bytes", status.dropped_bytes},
                        {"problem", status.problem}};
    }
    return view;
}

} // namespace

json exit_view(const std::optional<keep::ExitStatus>& status) {
    if (!status) return nullptr;
    switch (status->kind) {
    case keep::ExitStatus::Kind::exited: return {{"code", status->value}};
    case keep::ExitStatus::Kind::signaled:
        return {{"signal", keep::signal_name(status->value)}, {"core", status->core}};
    case keep::ExitStatus::Kind::unknown: return {{"unknown", true}};
    }
    return nullptr;
}

json daemon_view(const core::State& state, const core::Now& now, const Identity& identity,
                 const std::string& process_trees) {
    const core::Daemon& daemon = state.daemon;
    const core::Counts counts = core::count(state);
    // Wall-clock time is what the start is remembered in; a clock set back must not show a negative uptime.
    const keep::Duration uptime(std::max<std::int64_t>(0, now.wall.ns - daemon.started_at.ns));
    return {
        {"version", identity.version},
        {"build_id", identity.build_id},
        {"pid", identity.pid},
        {"generation", daemon.generation},
        {"started_at", keep::to_rfc3339(daemon.started_at)},
        {"upgraded_at", time_or_null(daemon.upgraded_at)},
        {"uptime_s", seconds(uptime)},
        {"stage", std::visit(StageWord{}, daemon.stage)},
        {"upgrading", daemon.upgrading.has_value()},
        {"config", daemon.settings.config_path},
        {"control", daemon.settings.control.path},
        {"process_trees", process_trees},
        {"counts",
         {{"total", counts.total},
          {"up", counts.up},
          {"waiting", counts.waiting},
          {"failed", counts.failed},
          {"down", counts.down}}},
        {"last_reload", outcome_view(daemon.last_reload)},
        {"last_upgrade", outcome_view(daemon.last_upgrade)},
        {"last_adoption", outcome_view(daemon.last_adoption)},
    };
}

json program_view(const core::Program& program, const core::Now& now, const std::optional<Usage>& usage,
                  const std::map<std::string, logs::StreamStatus>& log_status) {
    const std::string_view state = core::state_word(program);
    const auto& exit = program.last_exit;
    return {
        {"name", program.spec.name},
        {"description", program.spec.description},
        {"type", program.spec.type == config::Type::oneshot ? "oneshot" : "simple"},
        {"state", state},
        {"cause", core::cause_word(program.why.cause)},
        {"cause_detail", program.why.detail},
        {"text", core::explain(program, now.time)},
        {"pid", pid_or_null(core::pid_of(program))},
        {"run", program.run.value},
        {"restarts", program.restarts},
        {"failures", program.retry.failures},
        {"ready", state == "running"},
        {"since", keep::to_rfc3339(program.since_wall)},
        {"uptime_s", seconds_or_null(core::uptime(program, now.time))},
        {"next_start_in_s", seconds_or_null(core::next_start_in(program, now.time))},
        {"exit", exit ? exit_view(exit->status) : json(nullptr)},
        {"exit_at", exit ? json(keep::to_rfc3339(exit->at)) : json(nullptr)},
        {"exit_uptime_s", exit ? json(seconds(exit->uptime)) : json(nullptr)},
        {"command", program.spec.argv},
        {"memory_bytes", usage ? json(usage->memory_bytes) : json(nullptr)},
        {"cpu_s", usage ? json(usage->cpu_s) : json(nullptr)},
        {"log", log_view(program.spec, log_status)},
    };
}

json log_files_view(const core::Program& program) {
    json files = json::array();
    const auto add = [&](const char* stream, const config::Output& output) {
        files.push_back({{"program", program.spec.name},
                         {"stream", stream},
                         {"kind", word(output.kind)},
                         {"path", output.path},
                         {"max_files", output.max_files}});
    };
    add("stdout", program.spec.out);
    add("stderr", program.spec.err);
    return files;
}

json notice_view(const core::Notice& notice) {
    return {{"number", notice.number},
            {"at", keep::to_rfc3339(notice.at)},
            {"kind", core::kind_word(notice.kind)},
            {"level", word(notice.level)},
            {"program", notice.program},
            {"run", notice.run.value},
            {"pid", pid_or_null(notice.pid)},
            {"state", notice.state},
            {"text", notice.text},
            {"exit", exit_view(notice.exit)}};
}

json plan_view(const core::PlanDiff& plan, const core::State& before) {
    json programs = json::array();
    for (const core::ProgramChange& change : plan.programs) {
        programs.push_back({{"name", change.name},
                            {"kind", word(change.kind)},
                            {"restarts", change.restarts()},
                            {"fields", fields_view(change.fields)}});
    }
    return {{"programs", std::move(programs)},
            {"daemon", fields_view(plan.daemon)},
            {"untouched", plan.untouched},
            {"text", core::describe(plan, before)}};
}

json later_plan(const std::string& text) {
    return {
        {"plan",
         {{"programs", json::array()}, {"daemon", json::array()}, {"untouched", 0}, {"text", json::array({text})}}}};
}

json results_view(std::span<const Settled> results) {
    json list = json::array();
    for (const Settled& result : results) {
        list.push_back({{"name", result.name}, {"ok", result.ok}, {"done", result.done}, {"text", result.text}});
    }
    return list;
}

} // namespace keepd::control
