#include "daemon/ctl/client.hpp"

#include <array>
#include <cerrno>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <poll.h>

#include "daemon/control/vocabulary.hpp"
#include "lib/sys/clock.hpp"
#include "lib/sys/sockets.hpp"

namespace keepd::ctl {

using nlohmann::json;

namespace {

constexpr std::size_t longest_reply = std::size_t{32} << 20; // keepd's own bound is half of that

} // namespace

Client::Client(keep::sys::Fd socket, std::string path)
    : socket_(std::move(socket)), path_(std::move(path)), inbox_(longest_reply) {}

std::expected<Client, CallError> Client::connect(const std::string& path) {
    auto socket = keep::sys::connect_unix(path, keep::sys::Blocking::yes);
    if (socket) return Client(std::move(*socket), path);
    const int code = socket.error().code;
    if (code == EACCES || code == EPERM) {
        return std::unexpected(CallError{ExitCode::refused, socket.error().message, {}, {}});
    }
    std::string text = "keepd cannot be reached: " + socket.error().message;
    if (code == ENOENT || code == ECONNREFUSED) {
        text += " (is it running? another socket is named by --socket or KEEPD_SOCKET)";
    }
    return std::unexpected(CallError{ExitCode::unreachable, text, {}, {}});
}

CallError Client::lost(std::string_view why) const {
    return {ExitCode::unreachable, "the connection to keepd at " + path_ + " was lost: " + std::string(why), {}, {}};
}

std::expected<void, CallError> Client::begin(std::string_view method, const json& parameters, bool more) {
    const std::string name = std::string(control::interface_name) + "." + std::string(method);
    std::string message = control::request_message(name, control::to_text(parameters), more);
    for (std::string_view rest = message; !rest.empty();) {
        const auto sent = keep::sys::send(socket_.get(), rest);
        if (!sent) return std::unexpected(lost(sent.error().message));
        rest.remove_prefix(sent->value_or(0));
    }
    return {};
}

std::expected<Client::Step, CallError> Client::next(std::optional<keep::Time> deadline) {
    for (;;) {
        if (inbox_.oversized()) return std::unexpected(lost("its reply is too long"));
        if (const auto message = inbox_.take()) {
            const auto reply = control::parse_reply(*message);
            if (!reply) return std::unexpected(lost("its reply is no Varlink: " + reply.error()));
            if (!reply->error.empty()) return std::unexpected(from_varlink(reply->error, *reply->parameters));
            return Step{reply->parameters, reply->continues};
        }
        if (!wait_readable(deadline)) {
            return std::unexpected(
                CallError{ExitCode::timed_out, "not done in time; what was asked for still stands", {}, {}});
        }
        std::array<char, 65536> buffer;
        const auto received = keep::sys::receive(socket_.get(), buffer);
        if (!received) return std::unexpected(lost(received.error().message));
        if (*received && **received == 0) return std::unexpected(lost("keepd closed it"));
        inbox_.append(std::string_view(buffer.data(), received->value_or(0)));
    }
}

bool Client::wait_readable(std::optional<keep::Time> deadline) const {
    for (;;) {
        int wait_ms = -1;
        if (deadline) {
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - keep::sys::monotonic_now());
            if (left.count() <= 0) return false;
            wait_ms = static_cast<int>(std::min<std::int64_t>(left.count(), std::numeric_limits<int>::max()));
        }
        pollfd readable{socket_.get(), POLLIN, 0};
        if (::poll(&readable, 1, wait_ms) > 0) return true;
    }
}

bool Client::wait_for_end(std::optional<keep::Time> deadline) {
    while (wait_readable(deadline)) {
        std::array<char, 4096> buffer;
        const auto received = keep::sys::receive(socket_.get(), buffer);
        if (!received || (*received && **received == 0)) return true;
    }
    return false;
}

std::expected<json, CallError> Client::call(std::string_view method, const json& parameters,
                                            std::optional<keep::Duration> limit) {
    std::optional<keep::Time> deadline;
    if (limit) deadline = keep::sys::monotonic_now() + *limit;
    if (auto begun = begin(method, parameters, false); !begun) return std::unexpected(begun.error());
    auto step = next(deadline);
    if (!step) return std::unexpected(step.error());
    return json(*step->parameters);
}

} // namespace keepd::ctl
