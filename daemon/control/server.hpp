// The Varlink server on keepd's control socket (varlink.org: NUL-terminated JSON objects, org.varlink.service
// introspection, `more` for streams). One per keepd, on the main thread, never blocking: a client that does not read
// fills its own bounded buffer and is dropped.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "config/plan.hpp"
#include "daemon/control/port.hpp"
#include "daemon/core/action.hpp"
#include "daemon/core/progress.hpp"
#include "systemd/loop.hpp"

namespace keepd::control {

// What became of one wish of a request.
struct Settled {
    std::string name;
    bool ok = false;
    bool done = false; // false: nobody waited for it
    std::string text;
    bool operator==(const Settled&) const = default;
};

// What a client waits for, as data, so that the wait survives an upgrade.
struct Pending {
    enum class Kind : std::uint8_t { none, wishes, reload, upgrade, events };
    Kind kind = Kind::none;
    std::vector<core::Wish> wishes{}; // wishes, and those that a reload left: what is not settled yet
    std::vector<Settled> settled{};   // those that are
    std::uint64_t next_notice = 0;    // events: the next number to send
    bool more = false;
    bool wait = true;     // reload: also for what it left to settle
    core::RunId first{};  // reload: runs from this one on may be its doing
    std::string method{}; // short name, for the reply's wording and shape
    std::string answer{}; // JSON text of what the reply will carry besides; of an upgrade: how it began
    bool operator==(const Pending&) const = default;
};

// A connection as it is carried over an exec.
struct ClientState {
    int fd = -1;
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    int pid = 0;
    std::string input;  // received, not yet a whole request (or not yet served)
    std::string output; // replies not yet taken by the client
    Pending pending;
    bool operator==(const ClientState&) const = default;
};

// Everything of the server that is carried. Owns the descriptors named in it until adopted.
struct Parked {
    int listener = -1;
    std::string path; // of the socket
    std::vector<ClientState> clients;
    std::vector<core::Notice> recent; // the last notices, for `keepctl events`
    bool operator==(const Parked&) const = default;
};

class Server {
  public:
    // Binds the socket (mode and group as configured; a stale socket file is replaced, a live keepd's is an error:
    // EADDRINUSE) and serves on `loop`. `loop` and `port` must outlive the server.
    static keep::Result<std::unique_ptr<Server>> listen(systemd::Loop& loop, Port& port,
                                                        const config::Control& settings);
    // Goes on where park() of this or an earlier image stopped. On an error all descriptors are open still, and the
    // caller's: an earlier image may want them back. A client that can't be watched is such an error, or is dropped
    // where nobody is left who could serve it.
    enum class Losing : std::uint8_t { nobody, clients };
    static keep::Result<std::unique_ptr<Server>> resume(systemd::Loop& loop, Port& port, Parked parked,
                                                        Losing losing = Losing::clients);
    virtual ~Server(); // closes connections; the socket file stays unless unlink() was called

    // After each step: programs whose state changed; answers clients whose wait is over. daemon: keepd's own changed.
    virtual void changed(std::span<const std::string> programs, bool daemon) = 0;
    // One more line of the event stream; also ends waits for a reload.
    virtual void announce(const core::Notice&) = 0;
    // The upgrade that clients wait for has ended, in this image or by this image's arrival. exit_code as keepctl's.
    virtual void upgrade_ended(bool ok, int exit_code, const std::string& text) = 0;
    // Rebinds after a change of `control` in the config.
    virtual keep::Result<> rebind(const config::Control& settings) = 0;

    virtual int listener() const = 0;            // borrowed
    virtual const std::string& path() const = 0; // of the socket

    // Stops serving and gives everything away, descriptors included (as numbers; close-on-exec still set).
    virtual Parked park() = 0;
    // Tries to send what is still buffered, then removes the socket file: the orderly end.
    virtual void say_goodbye() = 0;
};

} // namespace keepd::control
