// Sockets and loop around the desk.
#include "daemon/control/server.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <fcntl.h>
#include <map>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "daemon/control/answers.hpp"
#include "daemon/control/desk.hpp"
#include "daemon/control/socket.hpp"
#include "daemon/control/socket_server.hpp"
#include "daemon/control/vocabulary.hpp"
#include "lib/sys/clock.hpp"
#include "lib/sys/sockets.hpp"

namespace keepd::control {

using keep::Result;
using keep::sys::Fd;

namespace {

constexpr std::size_t receive_at_once = std::size_t{256} << 10; // of one client in one turn of the loop
constexpr auto goodbye_limit = std::chrono::seconds(1);         // for clients to take their last replies

} // namespace

SocketServer::SocketServer(systemd::Loop& loop, Port& port, Surroundings surroundings)
    : loop_(loop), surroundings_(std::move(surroundings)), desk_(port, surroundings_.own_uid, surroundings_.limits) {}

Result<> SocketServer::serve_on(Fd& listener, std::string path) {
    auto source = loop_.watch(listener.get(), EPOLLIN, [this](std::uint32_t) { accept_clients(); });
    if (!source) return keep::fail_in("control socket", source.error());
    if (!spare_) {
        if (auto spare = keep::sys::open("/dev/null", O_RDONLY)) spare_ = std::move(*spare);
    }
    listener_source_ = std::move(*source); // the old one goes before its descriptor
    listener_ = std::move(listener);
    path_ = std::move(path);
    return {};
}

// ---- clients -----------------------------------------------------------------------------------------------------

void SocketServer::accept_clients() {
    for (;;) {
        auto accepted = keep::sys::accept(listener_.get());
        if (!accepted) {
            const int code = accepted.error().code;
            if (code == EMFILE || code == ENFILE) turn_one_away();
            return; // anything else shows again, or not
        }
        if (!*accepted) return; // that was all
        Fd socket = std::move(**accepted);
        const auto caller = surroundings_.peer(socket.get());
        if (!caller) continue;
        const auto id = desk_.admit(*caller);
        if (!id) {
            const Answer answer = busy("too many control connections");
            (void)send_some(socket.get(), error_message(answer.error, answer.parameters));
            continue;
        }
        (void)watch_client(*id, socket);
    }
}

// Without a descriptor to accept with, the waiting client would wake the loop for ever.
void SocketServer::turn_one_away() {
    spare_.reset();
    {
        const auto unserved = keep::sys::accept(listener_.get());
    }
    if (auto spare = keep::sys::open("/dev/null", O_RDONLY)) spare_ = std::move(*spare);
}

Result<> SocketServer::watch_client(Desk::Id id, Fd& socket) {
    auto source = loop_.watch(socket.get(), EPOLLIN, [this, id](std::uint32_t events) { client_event(id, events); });
    if (!source) {
        desk_.remove(id);
        return keep::fail_in("a client's connection", source.error());
    }
    links_.emplace(id, Link{std::move(socket), std::move(*source), EPOLLIN});
    return {};
}

void SocketServer::client_event(Desk::Id id, std::uint32_t events) {
    Conversation& client = desk_.conversation(id);
    const int socket = links_.at(id).socket.get();
    if (client.wants_input() && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
        auto received = receive_some(socket, receive_at_once);
        if (!received) {
            client.drop();
        } else {
            client.received(received->bytes);
            if (received->end) client.received_end();
            // A client that is gone altogether is still served what it had sent, as `oneway` wants it.
        }
    }
    desk_.turn(id);
    flush(id);
    if ((events & (EPOLLHUP | EPOLLERR)) != 0 && !client.can_serve()) client.drop(); // nobody is there to read
    rearm(id);
    rearm_stirred();
}

void SocketServer::flush(Desk::Id id) {
    Conversation& client = desk_.conversation(id);
    if (client.unsent_size() == 0) return;
    const auto sent = send_some(links_.at(id).socket.get(), client.unsent());
    if (sent) {
        client.sent(*sent);
    } else {
        client.drop();
    }
}

// The loop's interest in a client follows from its conversation; one that is over is closed.
void SocketServer::rearm(Desk::Id id) {
    const auto found = links_.find(id);
    if (found == links_.end()) return;
    const Conversation& client = desk_.conversation(id);
    if (client.over()) {
        links_.erase(found);
        desk_.remove(id);
        return;
    }
    Link& link = found->second;
    std::uint32_t interest = 0;
    if (client.wants_input()) interest |= EPOLLIN;
    if (client.wants_turn()) interest |= EPOLLOUT;
    if (interest == link.interest) return;
    if (link.source.set_events(interest)) link.interest = interest;
}

void SocketServer::rearm_stirred() {
    for (const Desk::Id id : desk_.take_stirred())
        rearm(id);
}

// ---- what the host tells -----------------------------------------------------------------------------------------

// Nothing is written here: the loop's next turn does, so that a host in the middle of its work is never re-entered
// and no connection goes away under a method that is being served.
void SocketServer::stir() {
    for (const Desk::Id id : desk_.take_stirred()) {
        const auto found = links_.find(id);
        if (found == links_.end() || (found->second.interest & EPOLLOUT) != 0) continue;
        const std::uint32_t interest = found->second.interest | EPOLLOUT;
        if (found->second.source.set_events(interest)) found->second.interest = interest;
    }
}

void SocketServer::changed(std::span<const std::string> programs, bool daemon) {
    desk_.changed(programs, daemon);
    stir();
}

void SocketServer::announce(const core::Notice& notice) {
    desk_.announce(notice);
    stir();
}

void SocketServer::upgrade_ended(bool ok, int exit_code, const std::string& text) {
    desk_.upgrade_ended(ok, exit_code, text);
    stir();
}

Result<> SocketServer::rebind(const config::Control& settings) {
    if (settings.path == path_) return set_access(settings);
    auto listener = listen_at(settings);
    if (!listener) return std::unexpected(listener.error());
    const std::string old_path = path_;
    if (auto served = serve_on(*listener, settings.path); !served) {
        ::unlink(settings.path.c_str());
        return served;
    }
    ::unlink(old_path.c_str());
    return {};
}

// ---- carried over, and the end -----------------------------------------------------------------------------------

Parked SocketServer::park() {
    Parked parked;
    listener_source_.reset();
    parked.listener = listener_.release();
    parked.path = path_;
    parked.recent = desk_.recent();
    for (auto& [id, link] : links_) {
        Conversation& client = desk_.conversation(id);
        if (client.over()) continue; // closed by links_.clear()
        ClientState state = client.give_away();
        link.source.reset();
        state.fd = link.socket.release();
        parked.clients.push_back(std::move(state));
    }
    links_.clear();
    for (const Desk::Id id : desk_.clients())
        desk_.remove(id);
    return parked;
}

Result<> SocketServer::unpark(Parked parked, Losing losing) {
    Fd listener = Fd::adopt(parked.listener);
    desk_.adopt_history(std::move(parked.recent));
    auto done = serve_on(listener, std::move(parked.path));
    (void)listener.release(); // empty by now, or the caller's
    for (ClientState& state : parked.clients) {
        if (!done) break;
        const bool look = state.pending.kind != Pending::Kind::none;
        Fd socket = Fd::adopt(state.fd);
        const Desk::Id id = desk_.adopt(std::move(state));
        if (auto watched = watch_client(id, socket); !watched) {
            if (losing == Losing::clients) continue;
            (void)socket.release();
            done = std::move(watched);
            break;
        }
        rearm(id);
        if (look) wake(id); // what it waits for may have happened while nobody served
    }
    if (!done) let_go();
    return done;
}

void SocketServer::let_go() {
    listener_source_.reset();
    (void)listener_.release();
    for (auto& [id, link] : links_) {
        link.source.reset();
        (void)link.socket.release();
    }
    links_.clear();
}

void SocketServer::wake(Desk::Id id) {
    const auto found = links_.find(id);
    if (found == links_.end()) return;
    const std::uint32_t interest = found->second.interest | EPOLLOUT;
    if (found->second.source.set_events(interest)) found->second.interest = interest;
}

void SocketServer::say_goodbye() {
    const keep::Time deadline = keep::sys::monotonic_now() + goodbye_limit;
    for (auto& [id, link] : links_) {
        const Conversation& client = desk_.conversation(id);
        for (flush(id); client.unsent_size() > 0 && !client.over(); flush(id)) {
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - keep::sys::monotonic_now());
            pollfd writable{link.socket.get(), POLLOUT, 0};
            if (left.count() <= 0 || ::poll(&writable, 1, static_cast<int>(left.count())) == 0) break;
        }
    }
    listener_source_.reset();
    listener_.reset();
    ::unlink(path_.c_str());
}

// ---- the factories -----------------------------------------------------------------------------------------------

Server::~Server() = default;

Surroundings Surroundings::real() {
    return {.peer = peer_of, .own_uid = ::geteuid(), .limits = {}};
}

Result<std::unique_ptr<Server>> SocketServer::listen(systemd::Loop& loop, Port& port, const config::Control& settings,
                                                     Surroundings surroundings) {
    auto listener = listen_at(settings);
    if (!listener) return std::unexpected(listener.error());
    auto server = std::make_unique<SocketServer>(loop, port, std::move(surroundings));
    if (auto served = server->serve_on(*listener, settings.path); !served) {
        return std::unexpected(served.error());
    }
    return server;
}

Result<std::unique_ptr<Server>> SocketServer::resume(systemd::Loop& loop, Port& port, Parked parked, Losing losing,
                                                     Surroundings surroundings) {
    auto server = std::make_unique<SocketServer>(loop, port, std::move(surroundings));
    if (auto served = server->unpark(std::move(parked), losing); !served) return std::unexpected(served.error());
    return server;
}

Result<std::unique_ptr<Server>> Server::listen(systemd::Loop& loop, Port& port, const config::Control& settings) {
    return SocketServer::listen(loop, port, settings, Surroundings::real());
}

Result<std::unique_ptr<Server>> Server::resume(systemd::Loop& loop, Port& port, Parked parked, Losing losing) {
    return SocketServer::resume(loop, port, std::move(parked), losing, Surroundings::real());
}

} // namespace keepd::control
