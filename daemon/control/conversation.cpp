#include "daemon/control/conversation.hpp"

namespace keepd::control {

Conversation::Conversation(const Limits& limits, ClientState carried)
    : pending(std::move(carried.pending)), limits_(limits), caller_{carried.uid, carried.gid, carried.pid},
      inbox_(limits.request, std::move(carried.input)), output_(std::move(carried.output)) {}

void Conversation::sent(std::size_t bytes) {
    sent_ += bytes;
    if (sent_ == output_.size()) {
        output_ = std::string(); // gives the memory of a long reply back
        sent_ = 0;
    } else if (sent_ >= output_.size() / 2) {
        output_.erase(0, sent_);
        sent_ = 0;
    }
}

bool Conversation::wants_input() const {
    // One request may wait behind the one that is being served; who sends more waits in the socket.
    return !ended_ && !closing_ && !dropped_ && inbox_.size() < limits_.request;
}

bool Conversation::can_serve() const {
    return !dropped_ && !closing_ && pending.kind == Pending::Kind::none &&
           (inbox_.has_message() || inbox_.oversized()) && unsent_size() < limits_.unread_output;
}

bool Conversation::over() const {
    if (dropped_) return true;
    if (unsent_size() > 0) return false;
    if (closing_) return true;
    return ended_ && pending.kind == Pending::Kind::none && !inbox_.has_message();
}

void Conversation::send(std::string_view message) {
    if (dropped_) return;
    if (unsent_size() + message.size() > limits_.output) {
        drop();
        return;
    }
    output_ += message;
}

ClientState Conversation::give_away() {
    ClientState state;
    state.uid = caller_.uid;
    state.gid = caller_.gid;
    state.pid = caller_.pid;
    state.input = inbox_.rest();
    state.output = std::string(unsent());
    state.pending = std::move(pending);
    return state;
}

} // namespace keepd::control
