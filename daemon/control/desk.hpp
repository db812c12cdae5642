// The server without sockets: conversations, who waits for what, and the recent notices. Everything that clients can
// observe is decided here, so tests (and the fuzzer) need no socket.
//
// Re-entrance: a method submits an event, and the host tells of its consequences by changed(), announce() and
// upgrade_ended() before submit() returns. Those only append to conversations and never serve a request; serving
// happens in turn() alone, which the loop calls.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/control/conversation.hpp"
#include "daemon/control/history.hpp"
#include "daemon/control/limits.hpp"
#include "daemon/control/methods.hpp"
#include "daemon/control/port.hpp"

namespace keepd::control {

class Desk {
  public:
    using Id = std::uint64_t;

    // own_uid: whose requests may change things, besides root's. `port` must outlive the desk.
    Desk(Port& port, std::uint32_t own_uid, Limits limits = {});
    Desk(const Desk&) = delete; // conversations refer to its limits

    // A new client; nothing: there are too many.
    std::optional<Id> admit(const Caller&);
    Id adopt(ClientState carried); // its descriptor is the caller's business
    void adopt_history(std::vector<core::Notice> notices);

    // Nothing that was admitted and not removed is unknown here.
    Conversation& conversation(Id id) { return conversations_.at(id); }
    // Serves what this client has sent, as far as it is its turn.
    void turn(Id id);
    void remove(Id id) { conversations_.erase(id); }

    // As in Server.
    void changed(std::span<const std::string> programs, bool daemon);
    void announce(const core::Notice&);
    void upgrade_ended(bool ok, int exit_code, const std::string& text);

    // The clients that have something to send, to serve, or to close since this was last asked.
    std::vector<Id> take_stirred();
    std::vector<Id> clients() const;
    std::vector<core::Notice> recent() const { return history_.all(); }

  private:
    void look_again(Id id, Conversation&);
    void serve(Id id, Conversation&, const std::string& text);
    void send(Id id, Conversation&, const Answer&, bool continues);
    void finish(Id id, Conversation&, const Answer&);

    Port& port_;
    std::uint32_t own_uid_;
    Limits limits_;
    History history_;
    std::map<Id, Conversation> conversations_;
    std::vector<Id> stirred_;
    Id next_id_ = 1;
};

} // namespace keepd::control
