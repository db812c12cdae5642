#include "daemon/control/methods.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "daemon/control/vocabulary.hpp"

namespace keepd::control {
namespace {

using nlohmann::json;

constexpr std::array table{
    Served{"org.varlink.service.GetInfo", Access::read, get_info},
    Served{"org.varlink.service.GetInterfaceDescription", Access::read, get_interface_description},
    Served{"io.keepd.Manager.Status", Access::read, status},
    Served{"io.keepd.Manager.Start", Access::change, start},
    Served{"io.keepd.Manager.Stop", Access::change, stop},
    Served{"io.keepd.Manager.Restart", Access::change, restart},
    Served{"io.keepd.Manager.Signal", Access::change, signal},
    Served{"io.keepd.Manager.Reload", Access::change, reload},
    Served{"io.keepd.Manager.Upgrade", Access::change, upgrade},
    Served{"io.keepd.Manager.LogFiles", Access::read, log_files},
    Served{"io.keepd.Manager.Events", Access::read, events},
    Served{"io.keepd.Manager.ReopenLogs", Access::change, reopen_logs},
    Served{"io.keepd.Manager.Shutdown", Access::change, shutdown},
    Served{"io.keepd.Manager.Checkpoint", Access::change, checkpoint},
};

// Which of interface and method is unknown, as org.varlink.service wants it told.
Answer unknown(std::string_view name) {
    const std::size_t dot = name.rfind('.');
    const std::string_view interface = dot == std::string_view::npos ? name : name.substr(0, dot);
    if (interface == interface_name || interface == service_interface_name) {
        return {std::string(errors::method_not_found), to_text(json{{"method", name}})};
    }
    return {std::string(errors::interface_not_found), to_text(json{{"interface", interface}})};
}

} // namespace

std::span<const Served> served_methods() {
    return table;
}

std::optional<Answer> serve(Call& call, std::uint32_t own_uid) {
    const auto found = std::ranges::find(table, std::string_view(call.request.method), &Served::name);
    if (found == table.end()) return unknown(call.request.method);
    if (call.request.upgrade) {
        // Nothing of ours leaves the protocol.
        return Answer{std::string(errors::method_not_implemented), to_text(json{{"method", found->name}})};
    }
    if (!permitted(call.caller, found->access, own_uid)) return Answer{std::string(errors::permission_denied), "{}"};
    return found->method(call);
}

} // namespace keepd::control
