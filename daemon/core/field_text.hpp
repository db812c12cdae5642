// The values of config fields as a person would write them in the config, for the reasons of a reload.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/plan.hpp"

namespace keepd::core::field_text {

inline constexpr const char* absent = "absent";

std::string of(const std::string& text); // quoted, with JSON's escapes
std::string of(bool value);
std::string of(int number);
std::string of(std::uint64_t number);
std::string of(double number); // the shortest text that reads back
std::string of(config::Duration duration);
std::string of(config::Type type);
std::string of(config::RestartPolicy policy);
std::string of(config::StartLimitAction action);
std::string of(config::KillMode mode);
std::string of(config::LogLevel level);
std::string of(const std::vector<std::string>& texts);
std::string of(const std::vector<config::ExitMatch>& matches);
std::string of(const std::vector<config::StopStep>& sequence);
std::string of(const std::vector<config::EnvFile>& files);
std::string of(const config::EnvInherit& inherit);
std::string of(const config::Limit& limit);
std::string of(const config::Output& output); // its kind: "null", or a file's path

std::string octal(std::uint32_t mode); // "0022"
std::string signal(int number);        // "SIGTERM"; "absent" for 0
std::string user(const std::optional<config::Identity>& identity);
std::string group(const config::Identity& identity);

} // namespace keepd::core::field_text
