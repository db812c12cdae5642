#include "daemon/control/answers.hpp"

#include <nlohmann/json.hpp>

#include "daemon/control/views.hpp"
#include "daemon/control/vocabulary.hpp"

namespace keepd::control {
namespace {

using nlohmann::json;

Answer fault(std::string_view error, const json& parameters) {
    return {std::string(error), to_text(parameters)};
}

} // namespace

Answer reply(const json& parameters) {
    return {{}, to_text(parameters)};
}

Answer invalid_parameter(std::string_view name) {
    return fault(errors::invalid_parameter, {{"parameter", name}});
}

Answer no_such_program(const NoSuchProgram& missing) {
    return fault(errors::no_such_program,
                 {{"name", missing.name}, {"nearest", missing.nearest ? json(*missing.nearest) : json(nullptr)}});
}

Answer refused(std::string_view reason) {
    return fault(errors::refused, {{"reason", reason}});
}

Answer busy(std::string_view reason) {
    return fault(errors::busy, {{"reason", reason}});
}

Answer config_wrong(const std::vector<std::string>& faults) {
    return fault(errors::config_wrong, {{"faults", faults}});
}

Answer failed(std::string_view reason, std::span<const Settled> results) {
    json parameters = {{"reason", reason}};
    if (!results.empty()) parameters["results"] = results_view(results);
    return fault(errors::failed, parameters);
}

Answer outcome(std::span<const Settled> results, const std::string& with) {
    std::string reason;
    for (const Settled& result : results) {
        if (result.ok) continue;
        if (!reason.empty()) reason += "; ";
        reason += result.name.empty() ? result.text : result.name + ": " + result.text;
    }
    if (!reason.empty()) return failed(reason, results);
    json parameters = json::parse(with, nullptr, false);
    if (!parameters.is_object()) parameters = json::object();
    parameters["results"] = results_view(results);
    return reply(parameters);
}

} // namespace keepd::control
