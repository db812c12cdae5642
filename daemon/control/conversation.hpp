// One connection without its socket: what came in and is not served, what goes out and is not sent, and what the
// client waits for. Requests are served strictly one at a time; later ones wait in the inbox.
#pragma once

#include <string>
#include <string_view>

#include "daemon/control/limits.hpp"
#include "daemon/control/permission.hpp"
#include "daemon/control/server.hpp"
#include "daemon/control/varlink.hpp"

namespace keepd::control {

class Conversation {
  public:
    Conversation(const Limits& limits, const Caller& caller)
        : limits_(limits), caller_(caller), inbox_(limits.request) {}
    // As it was carried over.
    Conversation(const Limits& limits, ClientState carried);

    // ---- the socket's side ----
    void received(std::string_view bytes) { inbox_.append(bytes); }
    void received_end() { ended_ = true; } // the client sends no more; it may still read
    std::string_view unsent() const { return std::string_view(output_).substr(sent_); }
    void sent(std::size_t bytes);
    bool wants_input() const;
    // Something is to be sent, or a request can be served.
    bool wants_turn() const { return !dropped_ && (unsent_size() > 0 || can_serve()); }
    // Nothing more comes of it: close.
    bool over() const;
    // Everything to be carried but the descriptor.
    ClientState give_away();

    // ---- the server's side ----
    // It is this client's turn to get its next request served, or to be told that it is too long.
    bool can_serve() const;
    bool oversized() const { return inbox_.oversized(); }
    std::optional<std::string> take_request() { return inbox_.take(); }
    void send(std::string_view message); // drops the client if it left too much unread
    void close_when_sent() { closing_ = true; }
    void drop() { dropped_ = true; }

    const Caller& caller() const { return caller_; }
    std::size_t unsent_size() const { return output_.size() - sent_; }
    Pending pending;

  private:
    const Limits& limits_; // the desk's
    Caller caller_;
    Inbox inbox_;
    std::string output_;
    std::size_t sent_ = 0; // of output_
    bool ended_ = false;
    bool closing_ = false;
    bool dropped_ = false;
};

} // namespace keepd::control
