// std::visit with one lambda per alternative. Without an `auto` among them a new alternative fails to compile
// wherever it is not listed; that is the point.
#pragma once

namespace keepd::core {

template <typename... Handlers>
struct overloaded : Handlers... {
    using Handlers::operator()...;
};

} // namespace keepd::core
