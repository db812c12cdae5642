// The event stream.
#include <nlohmann/json.hpp>

#include "daemon/control/answers.hpp"
#include "daemon/control/methods.hpp"
#include "daemon/control/parameters.hpp"
#include "daemon/control/views.hpp"

namespace keepd::control {

using nlohmann::json;

std::optional<Answer> events(Call& call) {
    Parameters parameters(*call.request.parameters);
    const auto since = parameters.number("since");
    if (const auto wrong = parameters.wrong()) return invalid_parameter(*wrong);

    json list = json::array();
    // A follower that names no number wants what is to come.
    if (since || !call.request.more) {
        for (const core::Notice& notice : call.history.since(since.value_or(0)))
            list.push_back(notice_view(notice));
    }
    // The first reply of a stream comes at once, so that the client knows that it misses nothing from now on.
    if (call.request.more) {
        call.pending = {
            .kind = Pending::Kind::events, .next_notice = call.history.next(), .more = true, .method = "Events"};
    }
    return reply({{"events", std::move(list)}});
}

} // namespace keepd::control
