// The host's answers, each asked for once per load: a thousand programs share a handful of users and binaries.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>

#include "config/load.hpp"

namespace keepd::config {

// A user or group by number; nothing if it is none.
std::optional<std::uint32_t> as_id(const std::string& text);

class Lookup {
  public:
    explicit Lookup(const Facts& facts) : facts(facts) {}

    const auto& user(const std::string& name) { return ask(users_, facts.user, name); }
    const auto& group(const std::string& name) { return ask(groups_, facts.group, name); }
    const auto& executable(const std::string& command) { return ask(executables_, facts.executable, command); }
    const auto& directory(const std::string& path) { return ask(directories_, facts.directory, path); }

    const Facts& facts;

  private:
    template <typename Answer>
    using Cache = std::unordered_map<std::string, Answer>;

    template <typename Answer>
    const Answer& ask(Cache<Answer>& cache, const std::function<Answer(const std::string&)>& fact,
                      const std::string& key) {
        const auto known = cache.find(key);
        return known != cache.end() ? known->second : cache.emplace(key, fact(key)).first->second;
    }

    Cache<std::optional<Facts::Names>> users_;
    Cache<std::optional<std::uint32_t>> groups_;
    Cache<std::expected<std::string, std::string>> executables_;
    Cache<std::optional<std::string>> directories_;
};

} // namespace keepd::config
