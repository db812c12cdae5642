// Reads members of replies without trusting them: what is absent or of another type reads as empty.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

namespace keepd::ctl {

std::string text_of(const nlohmann::json& object, const char* name);
bool flag_of(const nlohmann::json& object, const char* name);
std::optional<std::int64_t> number_of(const nlohmann::json& object, const char* name);
std::optional<double> seconds_of(const nlohmann::json& object, const char* name);
// The member, or an empty array.
const nlohmann::json& list_of(const nlohmann::json& object, const char* name);
std::vector<std::string> texts_of(const nlohmann::json& object, const char* name);
// The member, or an empty object.
const nlohmann::json& object_of(const nlohmann::json& object, const char* name);

} // namespace keepd::ctl
