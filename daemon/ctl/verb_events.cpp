#include <algorithm>
#include <nlohmann/json.hpp>

#include "daemon/control/varlink.hpp"
#include "daemon/ctl/client.hpp"
#include "daemon/ctl/json_read.hpp"
#include "daemon/ctl/output.hpp"
#include "daemon/ctl/reply_view.hpp"
#include "daemon/ctl/verbs.hpp"

namespace keepd::ctl {
namespace {

using nlohmann::json;

// With --json one object a line, so that a stream can be read as it comes.
void print_event(const Common& common, const json& event) {
    print(common.json ? control::to_text(event) + "\n" : event_text(event, common.look));
}

} // namespace

ExitCode events(const Common& common, const EventOptions& options) {
    auto client = Client::connect(common.socket);
    if (!client) return report(common, client.error());
    if (auto begun = client->begin("Events", {{"since", 0u}}, options.follow); !begun) {
        return report(common, begun.error());
    }
    for (bool first = true;; first = false) {
        const auto step = client->next();
        if (!step) return report(common, step.error());
        const json& list = list_of(*step->parameters, "events");
        const std::size_t skipped = first && options.count ? list.size() - std::min(*options.count, list.size()) : 0;
        for (std::size_t i = skipped; i < list.size(); ++i)
            print_event(common, list[i]);
        if (!step->continues) return ExitCode::done;
    }
}

} // namespace keepd::ctl
