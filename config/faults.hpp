// Collects what is wrong, each fault once, and hands all of it over in the order of the text.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "config/document.hpp"

namespace keepd::config {

// A value and the document that says where it stands. Empty: there is no such value.
struct Value {
    const Document* document = nullptr;
    const Node* node = nullptr;

    explicit operator bool() const { return node != nullptr; }
    const Node* operator->() const { return node; }
    Value child(const Node& of) const { return {document, &of}; }
};

// The value as a message shows it: "12", "a list", or the string in double quotes, cut when it is long.
std::string describe(const Value&);
std::string in_quotes(std::string_view text, char quote = '\'');

class Faults {
  public:
    // Fixes the place of a file in the order. Files that were never entered come in the order of their first fault.
    void enter(const std::string& file);

    // The same message at the same place counts once: a fault in `defaults` shows in every program.
    void at(const Value&, std::string message);
    void at_key(const Value& member, std::string message);
    void add(Fault, std::size_t offset = 0);

    bool empty() const { return pending_.empty(); }
    std::vector<Fault> take();

  private:
    struct Pending {
        std::size_t file = 0;
        std::size_t offset = 0;
        std::size_t number = 0; // in the order in which they were found
        Fault fault;
    };
    std::size_t index_of(const std::string& file);
    void add_at(const Value&, std::size_t offset, std::string message);

    std::vector<std::string> files_;
    std::set<std::tuple<std::size_t, std::size_t, std::string>> known_;
    std::vector<Pending> pending_;
};

} // namespace keepd::config
