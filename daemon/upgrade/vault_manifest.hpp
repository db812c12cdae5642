// What is written on parcels in the vaults; see daemon/checkpoint/codec.hpp.
#pragma once

#include <string_view>
#include <vector>

#include "daemon/checkpoint/codec.hpp"
#include "daemon/upgrade/vault.hpp"

namespace keepd::upgrade {

struct Slips {
    std::vector<Slip> slips;
    bool operator==(const Slips&) const = default;
};

constexpr std::string_view enum_word(Slip::Kind value) {
    switch (value) {
    case Slip::Kind::run: return "run";
    case Slip::Kind::stream: return "stream";
    case Slip::Kind::listener: return "listener";
    }
    return {};
}

template <class V>
constexpr void fields(Slip& self, V& visit) {
    visit("kind", self.kind, checkpoint::critical);
    visit("name", self.name);
    visit("run", self.run);
    visit("pid", self.pid);
    visit("target", self.target);
    visit("descriptors", self.descriptors);
}

template <class V>
constexpr void fields(Slips& self, V& visit) {
    visit("slips", self.slips);
}

} // namespace keepd::upgrade
