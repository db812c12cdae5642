// Typed reading of one value. Each function stores into its target and returns true, or reports a fault at the value
// and leaves the target alone: reading goes on, so that all faults of a file are found at once.
#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/faults.hpp"
#include "config/lookup.hpp"
#include "lib/base/time.hpp"

namespace keepd::config {

// A word of the config and what it means.
template <typename Enum>
struct Word {
    std::string_view word;
    Enum meaning;
};

enum class Zero : std::uint8_t { allowed, refused };

class Reader {
  public:
    Reader(Faults& faults, Lookup& host) : faults(faults), host(host) {}

    Faults& faults;
    Lookup& host;

    // Any text but NUL, which neither argv, the environment nor a path can hold. `what` names it: "a user's name".
    bool text(const Value&, std::string& target, std::string_view what = "a string");
    bool text_not_empty(const Value&, std::string& target, std::string_view what = "a string");
    // Absolute; repeated and last slashes and "/./" are removed, so that equal paths are equal texts.
    bool path(const Value&, std::string& target);
    // The same, but what ends in a slash is no file.
    bool file_path(const Value&, std::string& target);
    bool boolean(const Value&, bool& target);
    bool number(const Value&, double least, double most, double& target);
    bool duration(const Value&, keep::Duration& target, Zero = Zero::allowed);
    bool size(const Value&, std::uint64_t& target); // bytes
    bool signal(const Value&, int& target);
    bool mode(const Value&, std::uint32_t& target); // octal string
    bool name_or_id(const Value&, std::string& target, std::string_view what);

    template <std::integral Integer>
    bool integer(const Value& value, Integer least, Integer most, Integer& target) {
        if (!integer_in(value, static_cast<std::int64_t>(least), static_cast<std::int64_t>(most))) return false;
        target = static_cast<Integer>(value->integer);
        return true;
    }

    template <typename Enum>
    bool word(const Value& value, std::span<const Word<Enum>> words, Enum& target) {
        if (value->kind == Kind::string)
            for (const Word<Enum>& known : words)
                if (known.word == value->text) {
                    target = known.meaning;
                    return true;
                }
        std::vector<std::string_view> known;
        for (const Word<Enum>& one : words)
            known.push_back(one.word);
        unknown_word(value, known);
        return false;
    }

    // Reports unless the value is a list; its elements are then value->children.
    bool is_list(const Value&, std::string_view what, std::size_t least = 0);

    // "expected WHAT, not THIS"
    void expected(const Value&, std::string_view what);
    // The same for a word that is none of `known`, with the nearest one. `also` is what would do beside a word.
    void unknown_word(const Value&, std::span<const std::string_view> known, std::string_view also = "");
    void unknown_key(const Value& member, std::span<const std::string_view> known);

  private:
    bool integer_in(const Value&, std::int64_t least, std::int64_t most);
};

// ", did you mean 'WORD'?", or nothing when no word is near.
std::string did_you_mean(std::string_view word, std::span<const std::string_view> known, char quote = '\'');
// "'a', 'b' or 'c'".
std::string either(std::span<const std::string_view> words, char quote = '"');

} // namespace keepd::config
