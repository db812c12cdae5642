#include "daemon/ctl/json_read.hpp"

#include <cstdint>
#include <nlohmann/json.hpp>

namespace keepd::ctl {

using nlohmann::json;

namespace {

const json* find(const json& object, const char* name) {
    if (!object.is_object()) return nullptr;
    const auto found = object.find(name);
    return found == object.end() ? nullptr : &*found;
}

} // namespace

std::string text_of(const json& object, const char* name) {
    const json* value = find(object, name);
    return value && value->is_string() ? value->get<std::string>() : std::string();
}

bool flag_of(const json& object, const char* name) {
    const json* value = find(object, name);
    return value && value->is_boolean() && value->get<bool>();
}

std::optional<std::int64_t> number_of(const json& object, const char* name) {
    const json* value = find(object, name);
    if (!value || !value->is_number_integer()) return std::nullopt;
    return value->get<std::int64_t>();
}

std::optional<double> seconds_of(const json& object, const char* name) {
    const json* value = find(object, name);
    if (!value || !value->is_number()) return std::nullopt;
    return value->get<double>();
}

const json& list_of(const json& object, const char* name) {
    static const json empty = json::array();
    const json* value = find(object, name);
    return value && value->is_array() ? *value : empty;
}

std::vector<std::string> texts_of(const json& object, const char* name) {
    std::vector<std::string> texts;
    for (const json& text : list_of(object, name)) {
        if (text.is_string()) texts.push_back(text.get<std::string>());
    }
    return texts;
}

const json& object_of(const json& object, const char* name) {
    static const json empty = json::object();
    const json* value = find(object, name);
    return value && value->is_object() ? *value : empty;
}

} // namespace keepd::ctl
