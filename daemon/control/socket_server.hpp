// The one implementation of Server. Private to the room and its tests, which bring their own surroundings.
#pragma once

#include <cstdint>
#include <functional>
#include <map>

#include "daemon/control/desk.hpp"
#include "daemon/control/limits.hpp"
#include "daemon/control/server.hpp"
#include "lib/sys/fd.hpp"
#include "systemd/loop.hpp"

namespace keepd::control {

// What a server takes from its host besides the port.
struct Surroundings {
    std::function<keep::Result<Caller>(int socket)> peer;
    std::uint32_t own_uid = 0;
    Limits limits;
    static Surroundings real(); // SO_PEERCRED, geteuid(2)
};

class SocketServer final : public Server {
  public:
    static keep::Result<std::unique_ptr<Server>> listen(systemd::Loop&, Port&, const config::Control&, Surroundings);
    static keep::Result<std::unique_ptr<Server>> resume(systemd::Loop&, Port&, Parked, Losing, Surroundings);
    SocketServer(systemd::Loop&, Port&, Surroundings);

    void changed(std::span<const std::string> programs, bool daemon) override;
    void announce(const core::Notice&) override;
    void upgrade_ended(bool ok, int exit_code, const std::string& text) override;
    keep::Result<> rebind(const config::Control& settings) override;
    int listener() const override { return listener_.get(); }
    const std::string& path() const override { return path_; }
    Parked park() override;
    void say_goodbye() override;

  private:
    // Members go in reverse order: the source before the descriptor it watches.
    struct Link {
        keep::sys::Fd socket;
        systemd::Source source;
        std::uint32_t interest = 0; // the events that the source waits for
    };

    keep::Result<> serve_on(keep::sys::Fd& listener, std::string path); // taken over on success only
    keep::Result<> unpark(Parked, Losing);
    void let_go(); // of all descriptors, which stay open
    void accept_clients();
    void turn_one_away();
    keep::Result<> watch_client(Desk::Id, keep::sys::Fd&); // likewise; otherwise the desk has forgotten it
    void client_event(Desk::Id, std::uint32_t events);
    void flush(Desk::Id);
    void rearm(Desk::Id);
    void rearm_stirred();
    void stir();
    void wake(Desk::Id);

    systemd::Loop& loop_;
    Surroundings surroundings_;
    Desk desk_;
    std::string path_;
    keep::sys::Fd spare_; // given up to turn a client away when descriptors run out
    keep::sys::Fd listener_;
    systemd::Source listener_source_;
    std::map<Desk::Id, Link> links_; // each has its conversation at the desk
};

} // namespace keepd::control
