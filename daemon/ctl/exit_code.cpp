#include "daemon/ctl/exit_code.hpp"

#include <nlohmann/json.hpp>

#include "daemon/control/varlink.hpp"
#include "daemon/control/vocabulary.hpp"
#include "daemon/ctl/json_read.hpp"

namespace keepd::ctl {
namespace {

using nlohmann::json;
namespace errors = control::errors;

std::string missing_program(const json& parameters) {
    std::string text = "no such program '" + text_of(parameters, "name") + "'";
    if (const std::string nearest = text_of(parameters, "nearest"); !nearest.empty()) {
        text += "; did you mean '" + nearest + "'?";
    }
    return text;
}

std::string faults_text(const json& parameters) {
    std::string text = "the config is wrong, nothing was changed";
    for (const std::string& fault : texts_of(parameters, "faults"))
        text += "\n  " + fault;
    return text;
}

// One line for each program that did not get there.
std::string failures_text(const json& parameters) {
    std::string text;
    for (const json& result : list_of(parameters, "results")) {
        if (flag_of(result, "ok")) continue;
        if (!text.empty()) text += '\n';
        text += text_of(result, "name") + ": " + text_of(result, "text");
    }
    return text.empty() ? text_of(parameters, "reason") : text;
}

struct Meaning {
    ExitCode code;
    std::string text;
};
Meaning meaning(std::string_view error, const json& parameters) {
    if (error == errors::no_such_program) return {ExitCode::no_such_program, missing_program(parameters)};
    if (error == errors::refused || error == errors::busy) return {ExitCode::refused, text_of(parameters, "reason")};
    if (error == errors::permission_denied) {
        return {ExitCode::refused, "permission denied: only root and keepd's own user may do that"};
    }
    if (error == errors::config_wrong) return {ExitCode::config_wrong, faults_text(parameters)};
    if (error == errors::failed) return {ExitCode::failed, failures_text(parameters)};
    if (error == errors::invalid_parameter) {
        return {ExitCode::wrong_usage, "keepd does not take this '" + text_of(parameters, "parameter") + "'"};
    }
    if (error == errors::method_not_found || error == errors::interface_not_found ||
        error == errors::method_not_implemented) {
        return {ExitCode::failed, "this keepd does not know that: it is another version (see keepctl version)"};
    }
    return {ExitCode::failed, std::string(error)};
}

} // namespace

CallError from_varlink(std::string_view error, const json& parameters) {
    Meaning found = meaning(error, parameters);
    return {found.code, std::move(found.text), std::string(error), control::to_text(parameters)};
}

} // namespace keepd::ctl
