#include "daemon/ctl/verbs.hpp"

#include <nlohmann/json.hpp>

#include "daemon/ctl/client.hpp"
#include "daemon/ctl/json_read.hpp"
#include "daemon/ctl/output.hpp"
#include "daemon/ctl/reply_view.hpp"
#include "daemon/ctl/status_view.hpp"
#include "daemon/version.hpp"
#include "lib/sys/clock.hpp"

namespace keepd::ctl {
namespace {

using nlohmann::json;

std::expected<json, CallError> ask(const Common& common, const char* method, const json& parameters,
                                   const Waiting& waiting = {}) {
    auto client = Client::connect(common.socket);
    if (!client) return std::unexpected(client.error());
    return client->call(method, parameters, waiting.limit);
}

// Prints the reply as JSON, or as `view` has it.
template <typename View>
ExitCode show(const Common& common, const std::expected<json, CallError>& reply, const View& view) {
    if (!reply) return report(common, reply.error());
    if (common.json) {
        print_json(*reply);
    } else {
        print(view(*reply));
    }
    return ExitCode::done;
}

} // namespace

ExitCode status(const Common& common, const std::vector<std::string>& names) {
    // The table shows neither memory nor CPU, which cost keepd a look at each process.
    const bool usage = common.json || !names.empty();
    auto reply = ask(common, "Status", {{"names", names}, {"usage", usage}});
    if (reply) (*reply)["programs"] = in_natural_order(list_of(*reply, "programs"));
    return show(common, reply, [&](const json& found) {
        const bool one = !names.empty() && list_of(found, "programs").size() == 1;
        return one ? status_details(found, common.look) : status_table(found, common.look);
    });
}

ExitCode order(const Common& common, const std::string& method, const std::vector<std::string>& names,
               const Waiting& waiting) {
    const auto reply = ask(common, method.c_str(), {{"names", names}, {"wait", waiting.wait}}, waiting);
    return show(common, reply, [](const json& done) { return results_text(done); });
}

ExitCode signal(const Common& common, const std::string& signal, const std::vector<std::string>& names) {
    return show(common, ask(common, "Signal", {{"names", names}, {"signal", signal}}),
                [](const json& done) { return results_text(done); });
}

ExitCode reload(const Common& common, bool dry_run, const Waiting& waiting) {
    const auto reply = ask(common, "Reload", {{"dry_run", dry_run}, {"wait", waiting.wait}}, waiting);
    return show(common, reply, plan_text);
}

ExitCode upgrade(const Common& common, const UpgradeOptions& options, const Waiting& waiting) {
    json parameters = {{"force", options.force}, {"rehearse_only", options.rehearse_only}, {"wait", waiting.wait}};
    if (!options.binary.empty()) parameters["binary"] = options.binary;
    if (options.if_changed) parameters["if_changed"] = true; // unknown to older versions, which are asked without it
    return show(common, ask(common, "Upgrade", parameters, waiting), upgrade_text);
}

ExitCode reopen_logs(const Common& common) {
    return show(common, ask(common, "ReopenLogs", json::object()), [](const json&) { return std::string(); });
}

ExitCode shutdown(const Common& common, const Waiting& waiting) {
    auto client = Client::connect(common.socket);
    if (!client) return report(common, client.error());
    std::optional<keep::Time> deadline;
    if (waiting.limit) deadline = keep::sys::monotonic_now() + *waiting.limit;
    const auto reply = client->call("Shutdown", {{"wait", waiting.wait}}, waiting.limit);
    // keepd answers when every program has stopped, and ends then: who asked may want its socket, or its binary.
    if (reply && waiting.wait && !client->wait_for_end(deadline))
        return report(common,
                      {ExitCode::timed_out, "keepd has stopped every program and has not ended in time", {}, {}});
    return show(common, reply, [](const json&) { return std::string(); });
}

ExitCode version(const Common& common) {
    const auto reply = ask(common, "Status", {{"usage", false}});
    json versions = {{"keepctl", {{"version", keepd::version()}, {"build_id", own_build_id()}}}};
    if (reply) {
        const json& daemon = object_of(*reply, "daemon");
        versions["keepd"] = {{"version", text_of(daemon, "version")}, {"build_id", text_of(daemon, "build_id")}};
    }
    if (common.json && reply) {
        print_json(versions);
        return ExitCode::done;
    }
    if (!common.json) {
        for (const auto& [name, image] : versions.items()) {
            const std::string build = text_of(image, "build_id");
            print(name + " " + text_of(image, "version") + (build.empty() ? "" : " (build " + build + ")") + "\n");
        }
    }
    return reply ? ExitCode::done : report(common, reply.error());
}

} // namespace keepd::ctl
