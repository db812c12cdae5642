#include "daemon/control/waits.hpp"

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "daemon/control/answers.hpp"
#include "daemon/control/views.hpp"

namespace keepd::control {
namespace {

using nlohmann::json;
using Verdict = core::Progress::Verdict;

constexpr int exit_code_refused = 4;

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = std::min(text.find('\n', begin), text.size());
        if (end > begin) lines.push_back(text.substr(begin, end - begin));
        begin = end + 1;
    }
    return lines;
}

Answer final_answer(const Pending& pending) {
    if (pending.method == "Shutdown") {
        // Its one wish is about keepd, not about a program: the interface gives it no results.
        const bool ok = std::ranges::all_of(pending.settled, &Settled::ok);
        return ok ? Answer{} : failed(pending.settled.front().text);
    }
    return outcome(pending.settled, pending.answer);
}

// Programs whose process has been there since before the upgrade was asked for.
std::size_t untouched_since(const core::State& state, keep::Time asked) {
    return static_cast<std::size_t>(std::ranges::count_if(state.programs, [&](const auto& entry) {
        const core::Phase& phase = entry.second.phase;
        if (const auto* running = std::get_if<core::Running>(&phase)) return running->since <= asked;
        const auto* stopping = std::get_if<core::Stopping>(&phase);
        return stopping && stopping->pid > 0 && !stopping->ended && stopping->since <= asked;
    }));
}

} // namespace

bool is_shutting_down(const core::State& state) {
    return !std::holds_alternative<core::Serving>(state.daemon.stage);
}

std::optional<Answer> begin_wait(Call& call, Pending pending, bool wait) {
    const core::State& state = call.port.state();
    const core::Now now = call.port.now();
    if (auto answer = look_after(pending, state, now, {}, true)) return answer;
    if (wait) {
        call.pending = std::move(pending);
        return std::nullopt;
    }
    for (const core::Wish& wish : pending.wishes) {
        pending.settled.push_back({wish.name, true, false, core::progress(state, wish, now.time).text});
    }
    return final_answer(pending);
}

std::optional<Answer> look_after(Pending& pending, const core::State& state, const core::Now& now,
                                 std::span<const std::string> programs, bool everything) {
    const auto concerned = [&](const core::Wish& wish) {
        return everything || wish.name.empty() || std::ranges::find(programs, wish.name) != programs.end();
    };
    std::erase_if(pending.wishes, [&](const core::Wish& wish) {
        if (!concerned(wish)) return false;
        core::Progress progress = core::progress(state, wish, now.time);
        if (progress.verdict == Verdict::pending) return false;
        pending.settled.push_back({wish.name, progress.verdict == Verdict::done, true, std::move(progress.text)});
        return true;
    });
    if (!pending.wishes.empty()) return std::nullopt;
    return final_answer(pending);
}

std::optional<Answer> reload_ended(Pending& pending, const core::State& state, const core::Now& now) {
    if (is_shutting_down(state)) return refused("keepd is shutting down");
    const auto& last = state.daemon.last_reload;
    if (!last) return refused("the reload was not carried out");
    if (!last->ok) return config_wrong(lines_of(last->text));
    if (pending.answer.empty()) pending.answer = to_text(later_plan("after the upgrade: " + last->text));
    pending.kind = Pending::Kind::wishes;
    if (pending.wait) pending.wishes = core::wishes_of_reload(state, pending.first);
    return look_after(pending, state, now, {}, true);
}

Answer upgrade_answer(const Pending& pending, const core::State& state, const Identity& identity, bool ok,
                      int exit_code, const std::string& text) {
    if (!ok) return exit_code == exit_code_refused ? refused(text) : failed(text);
    json parameters = json::parse(pending.answer, nullptr, false);
    if (!parameters.is_object()) parameters = json::object();
    const std::uint64_t generation_before = parameters.value("generation", std::uint64_t{0});
    const keep::Time asked(keep::Duration(parameters.value("asked_ns", std::int64_t{0})));
    parameters.erase("asked_ns");
    parameters["text"] = text;
    parameters["replaced"] = generation_before != state.daemon.generation;
    parameters["to"] = {{"version", identity.version}, {"build_id", identity.build_id}};
    parameters["generation"] = state.daemon.generation;
    parameters["untouched"] = untouched_since(state, asked);
    return reply(parameters);
}

} // namespace keepd::control
