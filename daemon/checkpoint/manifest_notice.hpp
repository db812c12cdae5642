// Manifests of what the control server carries of the core beside the state: the recent notices and what clients wait
// for. See codec.hpp.
#pragma once

#include <string_view>

#include "daemon/checkpoint/manifest_core.hpp"
#include "daemon/core/action.hpp"
#include "daemon/core/progress.hpp"

namespace keepd::core {

constexpr std::string_view enum_word(Notice::Kind kind) {
    return kind_word(kind);
}

constexpr std::string_view enum_word(Notice::Level level) {
    switch (level) {
    case Notice::Level::info: return "info";
    case Notice::Level::warning: return "warning";
    case Notice::Level::error: return "error";
    }
    return {};
}

constexpr std::string_view enum_word(Wish::Kind kind) {
    switch (kind) {
    case Wish::Kind::started: return "started";
    case Wish::Kind::stopped: return "stopped";
    case Wish::Kind::restarted: return "restarted";
    case Wish::Kind::removed: return "removed";
    case Wish::Kind::over: return "over";
    }
    return {};
}

template <class V>
constexpr void fields(Notice& self, V& visit) {
    visit("number", self.number);
    visit("at", self.at);
    visit("kind", self.kind);
    visit("level", self.level);
    visit("program", self.program);
    visit("run", self.run);
    visit("pid", self.pid);
    visit("state", self.state);
    visit("text", self.text);
    visit("exit", self.exit);
}

template <class V>
constexpr void fields(Wish& self, V& visit) {
    visit("kind", self.kind);
    visit("name", self.name);
    visit("after", self.after);
}

} // namespace keepd::core
