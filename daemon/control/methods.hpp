// The methods of the interface, one family a file. A method turns a request into an answer, or into a wait (Pending)
// that waits.hpp ends. It never touches a socket.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "daemon/control/history.hpp"
#include "daemon/control/permission.hpp"
#include "daemon/control/port.hpp"
#include "daemon/control/server.hpp"
#include "daemon/control/varlink.hpp"

namespace keepd::control {

// A reply, or an error where `error` has its full name. parameters: text of a JSON object.
struct Answer {
    std::string error;
    std::string parameters = "{}";
};

struct Call {
    const Request& request;
    const Caller& caller;
    Port& port;
    const History& history;
    Pending& pending; // the client's: none on entry; what the client waits for if the method returns nothing
};

// Nothing: the client waits, and `pending` says for what (or was answered meanwhile).
using Method = std::optional<Answer> (*)(Call&);

struct Served {
    std::string_view name; // full
    Access access;
    Method method;
};
// Every method that is served; the interface files name exactly these.
std::span<const Served> served_methods();

// Finds the method, checks the permission, and calls it.
std::optional<Answer> serve(Call&, std::uint32_t own_uid);

// methods_query.cpp
std::optional<Answer> get_info(Call&);
std::optional<Answer> get_interface_description(Call&);
std::optional<Answer> status(Call&);
std::optional<Answer> log_files(Call&);
std::optional<Answer> checkpoint(Call&);
// methods_change.cpp
std::optional<Answer> start(Call&);
std::optional<Answer> stop(Call&);
std::optional<Answer> restart(Call&);
std::optional<Answer> signal(Call&);
std::optional<Answer> reopen_logs(Call&);
std::optional<Answer> shutdown(Call&);
// methods_replace.cpp
std::optional<Answer> reload(Call&);
std::optional<Answer> upgrade(Call&);
// methods_events.cpp
std::optional<Answer> events(Call&);

} // namespace keepd::control
