#include "tests/host/control_varlink_interface.hpp"

#include <algorithm>
#include <regex>
#include <set>
#include <stdexcept>

namespace keepd::test {
namespace {

using nlohmann::json;

class Reader {
  public:
    explicit Reader(std::string_view text) : text_(text) {}

    Interface read() {
        Interface interface;
        expect("interface");
        interface.name = match(R"([A-Za-z]([-]*[A-Za-z0-9])*(\.[A-Za-z0-9]([-]*[A-Za-z0-9])*)+)", "an interface name");
        for (skip(); !text_.empty(); skip()) {
            const std::string member = match("[a-z]+", "type, method or error");
            const std::string name = match("[A-Z][A-Za-z0-9]*", "a member's name");
            if (!names_.insert(name).second) throw std::runtime_error(name + " is there twice");
            if (member == "type") {
                interface.types[name] = structure();
            } else if (member == "method") {
                Type parameters = structure();
                expect("->");
                interface.methods[name] = {std::move(parameters), structure()};
            } else if (member == "error") {
                interface.errors[name] = structure();
            } else {
                throw std::runtime_error("'" + member + "' is no member");
            }
        }
        for (const std::string& name : used_) {
            if (!interface.types.contains(name)) throw std::runtime_error("no type " + name);
        }
        return interface;
    }

  private:
    void skip() {
        for (;;) {
            text_.remove_prefix(std::min(text_.find_first_not_of(" \t\r\n"), text_.size()));
            if (!text_.starts_with('#')) return;
            text_.remove_prefix(std::min(text_.find('\n'), text_.size()));
        }
    }
    bool take(std::string_view word) {
        skip();
        if (!text_.starts_with(word)) return false;
        text_.remove_prefix(word.size());
        return true;
    }
    void expect(std::string_view word) {
        if (!take(word)) {
            throw std::runtime_error("expected '" + std::string(word) + "' at '" + std::string(text_.substr(0, 30)) +
                                     "'");
        }
    }
    std::string match(const char* pattern, const char* what) {
        skip();
        std::match_results<std::string_view::const_iterator> found;
        if (!std::regex_search(text_.begin(), text_.end(), found, std::regex(pattern),
                               std::regex_constants::match_continuous)) {
            throw std::runtime_error(std::string("expected ") + what + " at '" + std::string(text_.substr(0, 30)) +
                                     "'");
        }
        const std::string text = found.str();
        text_.remove_prefix(text.size());
        return text;
    }
    Type structure() {
        Type type;
        type.kind = Type::Kind::structure;
        expect("(");
        if (take(")")) return type;
        std::set<std::string> seen;
        do {
            const std::string name = match("[A-Za-z]([_]?[A-Za-z0-9])*", "a field's name");
            if (!seen.insert(name).second) throw std::runtime_error("field " + name + " is there twice");
            if (take(":")) {
                type.fields.push_back({name, any()});
            } else {
                type.kind = Type::Kind::words;
                type.fields.push_back({name, Type{}});
            }
        } while (take(","));
        expect(")");
        return type;
    }
    Type any() {
        if (take("?")) {
            Type type = any();
            if (type.nullable) throw std::runtime_error("nullable twice");
            type.nullable = true;
            return type;
        }
        if (take("[]")) return container(Type::Kind::array);
        if (take("[string]")) return container(Type::Kind::map);
        skip();
        if (text_.starts_with('(')) return structure();
        Type type;
        type.name = match("[A-Za-z][A-Za-z0-9]*", "a type");
        static const std::map<std::string, Type::Kind> builtin = {{"bool", Type::Kind::boolean},
                                                                  {"int", Type::Kind::integer},
                                                                  {"float", Type::Kind::floating},
                                                                  {"string", Type::Kind::text},
                                                                  {"object", Type::Kind::object}};
        const auto found = builtin.find(type.name);
        type.kind = found == builtin.end() ? Type::Kind::named : found->second;
        if (found == builtin.end()) used_.insert(type.name);
        return type;
    }
    Type container(Type::Kind kind) {
        Type type;
        type.kind = kind;
        type.element = std::make_shared<Type>(any());
        return type;
    }
    std::string_view text_;
    std::set<std::string> names_;
    std::set<std::string> used_;
};

} // namespace

std::expected<Interface, std::string> Interface::parse(std::string_view text) {
    try {
        return Reader(text).read();
    } catch (const std::runtime_error& error) {
        return std::unexpected(std::string(error.what()));
    }
}

std::string Interface::mismatch(const Type& type, const json& value, const std::string& place) const {
    if (value.is_null()) return type.nullable ? "" : place + ": is null";
    const auto must = [&](bool fits, const char* what) { return fits ? std::string() : place + ": is not " + what; };
    switch (type.kind) {
    case Type::Kind::boolean: return must(value.is_boolean(), "a bool");
    case Type::Kind::integer: return must(value.is_number_integer(), "an int");
    case Type::Kind::floating: return must(value.is_number(), "a float");
    case Type::Kind::text: return must(value.is_string(), "a string");
    case Type::Kind::object: return must(value.is_object(), "an object");
    case Type::Kind::named: return mismatch(types.at(type.name), value, place);
    case Type::Kind::words: return must(value.is_string(), "a word");
    case Type::Kind::array:
    case Type::Kind::map: {
        const bool array = type.kind == Type::Kind::array;
        if (array ? !value.is_array() : !value.is_object()) return must(false, array ? "an array" : "a map");
        for (const auto& [key, element] : value.items()) {
            std::string found = mismatch(*type.element, element, place + "[" + key + "]");
            if (!found.empty()) return found;
        }
        return {};
    }
    case Type::Kind::structure: break;
    }
    if (!value.is_object()) return must(false, "an object");
    std::set<std::string> known;
    for (const auto& [name, field] : type.fields) {
        known.insert(name);
        const auto found = value.find(name);
        if (found == value.end()) {
            if (!field.nullable) return place + "." + name + ": is missing";
            continue;
        }
        std::string wrong = mismatch(field, *found, place + "." + name);
        if (!wrong.empty()) return wrong;
    }
    for (const auto& [name, member] : value.items()) {
        if (!known.contains(name)) return place + "." + name + ": is not in the interface";
    }
    return {};
}

} // namespace keepd::test
