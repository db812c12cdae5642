// What of the control server is saved, for the checkpoint's codec (daemon/checkpoint/codec.hpp): every member, by name.
#pragma once

#include <string_view>

#include "daemon/control/server.hpp"

namespace keepd::control {

constexpr std::string_view enum_word(Pending::Kind value) {
    switch (value) {
    case Pending::Kind::none: return "none";
    case Pending::Kind::wishes: return "wishes";
    case Pending::Kind::reload: return "reload";
    case Pending::Kind::upgrade: return "upgrade";
    case Pending::Kind::events: return "events";
    }
    return {};
}

template <class V>
constexpr void fields(Settled& self, V& visit) {
    visit("name", self.name);
    visit("ok", self.ok);
    visit("done", self.done);
    visit("text", self.text);
}

template <class V>
constexpr void fields(Pending& self, V& visit) {
    visit("kind", self.kind);
    visit("wishes", self.wishes);
    visit("settled", self.settled);
    visit("next_notice", self.next_notice);
    visit("more", self.more);
    visit("wait", self.wait);
    visit("first", self.first);
    visit("method", self.method);
    visit("answer", self.answer);
}

template <class V>
constexpr void fields(ClientState& self, V& visit) {
    visit("fd", self.fd);
    visit("uid", self.uid);
    visit("gid", self.gid);
    visit("pid", self.pid);
    visit("input", self.input);
    visit("output", self.output);
    visit("pending", self.pending);
}

template <class V>
constexpr void fields(Parked& self, V& visit) {
    visit("listener", self.listener);
    visit("path", self.path);
    visit("clients", self.clients);
    visit("recent", self.recent);
}

} // namespace keepd::control
