#include "daemon/control/select.hpp"

#include <set>

#include "lib/base/text.hpp"

namespace keepd::control {
namespace {

bool is_glob(std::string_view word) {
    return word.find_first_of("*?[") != std::string_view::npos;
}

std::vector<std::string> matches(const core::State& state, const std::string& word) {
    if (state.programs.contains(word)) return {word};
    std::vector<std::string> found;
    const bool glob = is_glob(word);
    for (const auto& [name, program] : state.programs) {
        if (glob ? keep::glob_match(word, name) : program.spec.base == word) found.push_back(name);
    }
    return found;
}

std::optional<std::string> nearest_name(const core::State& state, const std::string& word) {
    std::set<std::string_view> known;
    for (const auto& [name, program] : state.programs) {
        known.insert(name);
        known.insert(program.spec.base);
    }
    const std::vector<std::string_view> words(known.begin(), known.end());
    return keep::nearest(word, words);
}

} // namespace

std::expected<std::vector<std::string>, NoSuchProgram> select(const core::State& state,
                                                              std::span<const std::string> words) {
    std::vector<std::string> selected;
    if (words.empty()) {
        for (const auto& [name, program] : state.programs)
            selected.push_back(name);
        return selected;
    }
    std::set<std::string> seen;
    for (const std::string& word : words) {
        auto found = matches(state, word);
        if (found.empty()) return std::unexpected(NoSuchProgram{word, nearest_name(state, word)});
        for (std::string& name : found) {
            if (seen.insert(name).second) selected.push_back(std::move(name));
        }
    }
    return selected;
}

} // namespace keepd::control
