// A connection to keepd: requests out, replies in. Blocks, to a deadline where there is one. An upgrade of keepd in the
// middle of a call is not noticed here: the new image carries the connection on.
#pragma once

#include <expected>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/control/varlink.hpp"
#include "daemon/ctl/exit_code.hpp"
#include "lib/base/time.hpp"
#include "lib/sys/fd.hpp"

namespace keepd::ctl {

class Client {
  public:
    // Errors: unreachable, naming the socket; refused where the socket's mode keeps us out.
    static std::expected<Client, CallError> connect(const std::string& socket);

    // One request, its one reply. Errors: those of keepd; timed_out; unreachable if keepd went away meanwhile.
    std::expected<nlohmann::json, CallError> call(std::string_view method, const nlohmann::json& parameters,
                                                  std::optional<keep::Duration> limit = {});

    // A request with several replies.
    std::expected<void, CallError> begin(std::string_view method, const nlohmann::json& parameters, bool more);
    struct Step {
        std::shared_ptr<const nlohmann::json> parameters;
        bool continues = false;
    };
    std::expected<Step, CallError> next(std::optional<keep::Time> deadline = {});

    // Until keepd closes the connection: it has ended. false: the deadline came first.
    bool wait_for_end(std::optional<keep::Time> deadline);

  private:
    // Until something can be read. false: the deadline came first.
    bool wait_readable(std::optional<keep::Time> deadline) const;
    Client(keep::sys::Fd socket, std::string path);
    CallError lost(std::string_view why) const;

    keep::sys::Fd socket_;
    std::string path_;
    control::Inbox inbox_;
};

} // namespace keepd::ctl
