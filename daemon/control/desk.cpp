#include "daemon/control/desk.hpp"

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "daemon/control/answers.hpp"
#include "daemon/control/views.hpp"
#include "daemon/control/waits.hpp"

namespace keepd::control {

using nlohmann::json;

Desk::Desk(Port& port, std::uint32_t own_uid, Limits limits)
    : port_(port), own_uid_(own_uid), limits_(limits), history_(limits.notices) {}

std::optional<Desk::Id> Desk::admit(const Caller& caller) {
    const auto guest = [this](const Caller& who) { return !permitted(who, Access::change, own_uid_); };
    if (conversations_.size() >= limits_.clients) return std::nullopt;
    if (guest(caller)) {
        const auto guests =
            std::ranges::count_if(conversations_, [&](const auto& entry) { return guest(entry.second.caller()); });
        if (static_cast<std::size_t>(guests) >= limits_.guests) return std::nullopt;
    }
    conversations_.try_emplace(next_id_, limits_, caller);
    return next_id_++;
}

Desk::Id Desk::adopt(ClientState carried) {
    conversations_.try_emplace(next_id_, limits_, std::move(carried));
    return next_id_++;
}

void Desk::adopt_history(std::vector<core::Notice> notices) {
    for (core::Notice& notice : notices)
        history_.add(std::move(notice));
}

void Desk::turn(Id id) {
    Conversation& client = conversation(id);
    look_again(id, client);
    for (std::size_t served = 0; served < limits_.requests_per_turn && client.can_serve(); ++served) {
        if (client.oversized()) {
            const std::string limit = std::to_string(limits_.request);
            send(id, client, invalid_parameter("(request: longer than " + limit + " bytes)"), false);
            client.close_when_sent();
        } else {
            serve(id, client, *client.take_request());
        }
    }
}

// A wait that was carried over may have ended while nobody looked.
void Desk::look_again(Id id, Conversation& client) {
    const core::State& state = port_.state();
    std::optional<Answer> answer;
    if (client.pending.kind == Pending::Kind::wishes) {
        answer = look_after(client.pending, state, port_.now(), {}, true);
    } else if (client.pending.kind == Pending::Kind::reload && !state.daemon.deferred.reload &&
               !state.daemon.upgrading) {
        answer = reload_ended(client.pending, state, port_.now());
    }
    if (answer) finish(id, client, *answer);
}

void Desk::serve(Id id, Conversation& client, const std::string& text) {
    const auto request = parse_request(text);
    if (!request) { // where the next request would begin is anybody's guess
        send(id, client, invalid_parameter("(request: " + request.error() + ")"), false);
        client.close_when_sent();
        return;
    }
    Call call{*request, client.caller(), port_, history_, client.pending};
    const auto answer = control::serve(call, own_uid_);
    if (request->oneway) {
        client.pending = {};
    } else if (answer) {
        send(id, client, *answer, client.pending.kind != Pending::Kind::none);
    }
}

void Desk::send(Id id, Conversation& client, const Answer& answer, bool continues) {
    client.send(answer.error.empty() ? reply_message(answer.parameters, continues)
                                     : error_message(answer.error, answer.parameters));
    std::size_t all = 0;
    for (const auto& [other, conversation] : conversations_)
        all += conversation.unsent_size();
    if (all > limits_.all_output) client.drop();
    stirred_.push_back(id);
}

void Desk::finish(Id id, Conversation& client, const Answer& answer) {
    client.pending = {};
    send(id, client, answer, false);
}

void Desk::changed(std::span<const std::string> programs, bool daemon) {
    for (auto& [id, client] : conversations_) {
        if (client.pending.kind != Pending::Kind::wishes) continue;
        // What happens to keepd can end any wait: a shutdown that begins makes a start hopeless.
        const auto answer = look_after(client.pending, port_.state(), port_.now(), programs, daemon);
        if (answer) finish(id, client, *answer);
    }
}

void Desk::announce(const core::Notice& notice) {
    history_.add(notice);
    std::optional<Answer> event;
    for (auto& [id, client] : conversations_) {
        Pending& pending = client.pending;
        if (pending.kind == Pending::Kind::events && notice.number >= pending.next_notice) {
            if (!event) event = reply({{"events", json::array({notice_view(notice)})}});
            pending.next_notice = notice.number + 1;
            send(id, client, *event, true);
        }
        // A reload that waits for an upgrade's end announces itself when it has been carried out.
        if (pending.kind == Pending::Kind::reload && notice.kind == core::Notice::Kind::reload &&
            !port_.state().daemon.deferred.reload) {
            if (const auto answer = reload_ended(pending, port_.state(), port_.now())) finish(id, client, *answer);
        }
    }
}

void Desk::upgrade_ended(bool ok, int exit_code, const std::string& text) {
    for (auto& [id, client] : conversations_) {
        if (client.pending.kind != Pending::Kind::upgrade) continue;
        finish(id, client, upgrade_answer(client.pending, port_.state(), port_.identity(), ok, exit_code, text));
    }
}

std::vector<Desk::Id> Desk::take_stirred() {
    std::vector<Id> ids = std::exchange(stirred_, {});
    std::ranges::sort(ids);
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    std::erase_if(ids, [this](Id id) { return !conversations_.contains(id); });
    return ids;
}

std::vector<Desk::Id> Desk::clients() const {
    std::vector<Id> ids;
    for (const auto& [id, client] : conversations_)
        ids.push_back(id);
    return ids;
}

} // namespace keepd::control
