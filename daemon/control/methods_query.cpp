// Methods that only look.
#include <nlohmann/json.hpp>

#include "daemon/control/answers.hpp"
#include "daemon/control/methods.hpp"
#include "daemon/control/parameters.hpp"
#include "daemon/control/views.hpp"
#include "daemon/control/vocabulary.hpp"
#include "daemon/core/describe.hpp"

namespace keepd::control {

using nlohmann::json;

std::optional<Answer> get_info(Call& call) {
    Parameters parameters(*call.request.parameters);
    if (const auto wrong = parameters.wrong()) return invalid_parameter(*wrong);
    return reply({{"vendor", "keepd"},
                  {"product", "keepd"},
                  {"version", call.port.identity().version},
                  {"url", ""},
                  {"interfaces", {service_interface_name, interface_name}}});
}

std::optional<Answer> get_interface_description(Call& call) {
    Parameters parameters(*call.request.parameters);
    const std::string name = parameters.required_text("interface");
    if (const auto wrong = parameters.wrong()) return invalid_parameter(*wrong);
    if (name == interface_name) return reply({{"description", interface_description()}});
    if (name == service_interface_name) return reply({{"description", service_interface_description()}});
    return Answer{std::string(errors::interface_not_found), to_text(json{{"interface", name}})};
}

std::optional<Answer> status(Call& call) {
    Parameters parameters(*call.request.parameters);
    const auto words = parameters.list("names");
    const bool with_usage = parameters.flag("usage", true);
    if (const auto wrong = parameters.wrong()) return invalid_parameter(*wrong);

    const core::State& state = call.port.state();
    const auto names = select(state, words);
    if (!names) return no_such_program(names.error());

    const core::Now now = call.port.now();
    const auto log_status = call.port.log_status();
    json programs = json::array();
    for (const std::string& name : *names) {
        const core::Program& program = state.programs.at(name);
        const int pid = core::pid_of(program);
        const auto usage = with_usage && pid > 0 ? call.port.usage(pid) : std::nullopt;
        programs.push_back(program_view(program, now, usage, log_status));
    }
    return reply({{"daemon", daemon_view(state, now, call.port.identity(), call.port.process_trees())},
                  {"programs", std::move(programs)}});
}

std::optional<Answer> log_files(Call& call) {
    Parameters parameters(*call.request.parameters);
    const auto words = parameters.list("names");
    if (const auto wrong = parameters.wrong()) return invalid_parameter(*wrong);

    const core::State& state = call.port.state();
    const auto names = select(state, words);
    if (!names) return no_such_program(names.error());
    json files = json::array();
    for (const std::string& name : *names) {
        for (json& file : log_files_view(state.programs.at(name)))
            files.push_back(std::move(file));
    }
    return reply({{"files", std::move(files)}});
}

std::optional<Answer> checkpoint(Call& call) {
    Parameters parameters(*call.request.parameters);
    if (const auto wrong = parameters.wrong()) return invalid_parameter(*wrong);
    json saved = json::parse(call.port.checkpoint_json(), nullptr, false);
    if (!saved.is_object()) return failed("the checkpoint can't be shown");
    return reply({{"checkpoint", std::move(saved)}});
}

} // namespace keepd::control
