// The answers that several methods give.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/control/methods.hpp"
#include "daemon/control/select.hpp"

namespace keepd::control {

Answer reply(const nlohmann::json& parameters);
Answer invalid_parameter(std::string_view name);
Answer no_such_program(const NoSuchProgram&);
Answer refused(std::string_view reason);
Answer busy(std::string_view reason);
Answer config_wrong(const std::vector<std::string>& faults);
// Some of the results are failures: Failed, naming them; none is: a reply of `with` and the results.
Answer outcome(std::span<const Settled> results, const std::string& with = "{}");
Answer failed(std::string_view reason, std::span<const Settled> results = {});

} // namespace keepd::control
