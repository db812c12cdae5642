// A reader of Varlink interface files (https://varlink.org/Interface-Definition), strict enough to find our own slips,
// and a check of JSON against the types it read.
#pragma once

#include <expected>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace keepd::test {

struct Member;

struct Type {
    enum class Kind { boolean, integer, floating, text, object, named, structure, words, array, map };
    Kind kind = Kind::object;
    bool nullable = false;
    std::string name;              // named
    std::vector<Member> fields;    // structure; of words only the names
    std::shared_ptr<Type> element; // array, map
};

struct Member {
    std::string name;
    Type type;
};

struct Interface {
    std::string name;
    std::map<std::string, Type> types;
    std::map<std::string, std::pair<Type, Type>> methods; // parameters, reply
    std::map<std::string, Type> errors;

    static std::expected<Interface, std::string> parse(std::string_view text);
    // "" if the value is of that type; else where it is not: "Status.programs[0].pid: not an int".
    std::string mismatch(const Type& type, const nlohmann::json& value, const std::string& place) const;
};

} // namespace keepd::test
