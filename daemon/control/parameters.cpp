#include "daemon/control/parameters.hpp"

#include <cstdint>
#include <nlohmann/json.hpp>

namespace keepd::control {

using nlohmann::json;

const json* Parameters::find(const char* name) {
    known_.insert(name);
    const auto found = object_.find(name);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
}

void Parameters::blame(const char* name) {
    if (!wrong_) wrong_ = name;
}

bool Parameters::flag(const char* name, bool otherwise) {
    const json* value = find(name);
    if (!value) return otherwise;
    if (!value->is_boolean()) {
        blame(name);
        return otherwise;
    }
    return value->get<bool>();
}

std::optional<std::string> Parameters::text(const char* name) {
    const json* value = find(name);
    if (!value) return std::nullopt;
    if (!value->is_string()) {
        blame(name);
        return std::nullopt;
    }
    return value->get<std::string>();
}

std::string Parameters::required_text(const char* name) {
    auto value = text(name);
    if (!value) blame(name);
    return value.value_or("");
}

std::optional<std::uint64_t> Parameters::number(const char* name) {
    const json* value = find(name);
    if (!value) return std::nullopt;
    // A non-negative literal is unsigned to the parser; a fraction or a minus sign is not what we count in.
    if (!value->is_number_unsigned()) {
        blame(name);
        return std::nullopt;
    }
    return value->get<std::uint64_t>();
}

std::vector<std::string> Parameters::list(const char* name) {
    const json* value = find(name);
    std::vector<std::string> words;
    if (!value) return words;
    if (!value->is_array()) {
        blame(name);
        return words;
    }
    for (const json& word : *value) {
        if (word.is_string()) {
            words.push_back(word.get<std::string>());
        } else {
            blame(name);
        }
    }
    return words;
}

std::vector<std::string> Parameters::required_list(const char* name) {
    auto words = list(name);
    if (words.empty()) blame(name);
    return words;
}

std::optional<std::string> Parameters::wrong() const {
    if (wrong_) return wrong_;
    for (const auto& [name, value] : object_.items()) {
        if (!known_.contains(name)) return name;
    }
    return std::nullopt;
}

} // namespace keepd::control
