// Reads a request's parameters strictly: a wrong type, a missing or an unknown one is named. Private to the methods.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace keepd::control {

class Parameters {
  public:
    explicit Parameters(const nlohmann::json& object) : object_(object) {}

    // Each names one parameter; null counts as absent.
    bool flag(const char* name, bool otherwise);
    std::optional<std::string> text(const char* name);
    std::string required_text(const char* name);
    std::optional<std::uint64_t> number(const char* name);
    std::vector<std::string> list(const char* name);
    std::vector<std::string> required_list(const char* name); // present, and not empty

    // After all were named: the first wrong one, or one that nobody named.
    std::optional<std::string> wrong() const;

  private:
    const nlohmann::json* find(const char* name);
    void blame(const char* name);

    const nlohmann::json& object_; // outlives this
    std::set<std::string, std::less<>> known_;
    std::optional<std::string> wrong_;
};

} // namespace keepd::control
