// Methods that ask the policy for something: each becomes an event, and what is waited for becomes wishes.
#include <cstdint>
#include <nlohmann/json.hpp>

#include "daemon/control/answers.hpp"
#include "daemon/control/methods.hpp"
#include "daemon/control/parameters.hpp"
#include "daemon/control/waits.hpp"
#include "daemon/core/describe.hpp"
#include "daemon/core/step.hpp"
#include "lib/base/signals.hpp"

namespace keepd::control {
namespace {

using nlohmann::json;

struct Order {
    const char* method;
    core::Wish::Kind wish;
    core::Event (*event)(std::string name, std::uint32_t uid);
};

// One event for each selected program, then the wait for all of them.
std::optional<Answer> order(Call& call, const Order& what) {
    Parameters parameters(*call.request.parameters);
    const auto words = parameters.required_list("names");
    const bool wait = parameters.flag("wait", true) && !call.request.oneway;
    if (const auto wrong = parameters.wrong()) return invalid_parameter(*wrong);
    if (what.wish != core::Wish::Kind::stopped && is_shutting_down(call.port.state())) {
        return refused("keepd is shutting down");
    }
    const auto names = select(call.port.state(), words);
    if (!names) return no_such_program(names.error());

    Pending pending{.kind = Pending::Kind::wishes, .method = what.method};
    for (const std::string& name : *names) {
        // An earlier one of these events may have ended a program that was on its way out.
        const auto found = call.port.state().programs.find(name);
        const core::RunId newest = found == call.port.state().programs.end() ? core::RunId{} : found->second.run;
        pending.wishes.push_back({what.wish, name, newest});
        call.port.submit(what.event(name, call.caller.uid));
    }
    return begin_wait(call, std::move(pending), wait);
}

} // namespace

std::optional<Answer> start(Call& call) {
    return order(call, {"Start", core::Wish::Kind::started, [](std::string name, std::uint32_t uid) -> core::Event {
                            return core::StartAsked{std::move(name), uid};
                        }});
}

std::optional<Answer> stop(Call& call) {
    return order(call, {"Stop", core::Wish::Kind::stopped, [](std::string name, std::uint32_t uid) -> core::Event {
                            return core::StopAsked{std::move(name), uid};
                        }});
}

std::optional<Answer> restart(Call& call) {
    return order(call, {"Restart", core::Wish::Kind::restarted, [](std::string name, std::uint32_t uid) -> core::Event {
                            return core::RestartAsked{std::move(name), uid};
                        }});
}

std::optional<Answer> signal(Call& call) {
    Parameters parameters(*call.request.parameters);
    const auto words = parameters.required_list("names");
    const auto number = keep::parse_signal(parameters.required_text("signal"));
    if (const auto wrong = parameters.wrong()) return invalid_parameter(*wrong);
    if (!number) return invalid_parameter("signal");
    const auto names = select(call.port.state(), words);
    if (!names) return no_such_program(names.error());

    std::vector<Settled> results;
    for (const std::string& name : *names) {
        const auto found = call.port.state().programs.find(name);
        const bool alive = found != call.port.state().programs.end() && core::pid_of(found->second) != 0;
        if (alive) call.port.submit(core::SignalAsked{name, call.caller.uid, *number});
        results.push_back({name, alive, true, alive ? keep::signal_name(*number) + " sent" : "has no process"});
    }
    return outcome(results);
}

std::optional<Answer> reopen_logs(Call& call) {
    Parameters parameters(*call.request.parameters);
    if (const auto wrong = parameters.wrong()) return invalid_parameter(*wrong);
    call.port.reopen_logs();
    return Answer{};
}

std::optional<Answer> shutdown(Call& call) {
    Parameters parameters(*call.request.parameters);
    const bool wait = parameters.flag("wait", true) && !call.request.oneway;
    if (const auto wrong = parameters.wrong()) return invalid_parameter(*wrong);
    call.port.submit(core::ShutdownAsked{"uid " + std::to_string(call.caller.uid)});
    Pending pending{.kind = Pending::Kind::wishes, .wishes = {{core::Wish::Kind::over, {}, {}}}, .method = "Shutdown"};
    return begin_wait(call, std::move(pending), wait);
}

} // namespace keepd::control
