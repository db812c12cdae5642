#include <poll.h>

#include "lib/exec/error_data.hpp"
#include "lib/exec/running.hpp"
#include "lib/exec/stream_ends.hpp"

namespace keep::exec {
namespace {

constexpr std::size_t kept_of_stderr = 32 * 1024; // at each end, as Go does

} // namespace

Result<> Cmd::wait() {
    if (!running_ || !running_->started) return failed(own_error(Errc::not_started));
    if (running_->waited) return failed(own_error(Errc::already_waited));
    running_->waited = true;
    Exchange& exchange = running_->exchange;
    exchange.finish();
    exchange.let_go();
    running_->close_handles();
    const Result<ProcessState>& exit = exchange.exit();
    if (!exit) return failed(exit.error());
    running_->state = *exit;
    if (!exit->success()) return failed(exit_error({*exit, {}}));
    if (exchange.watch_error()) return failed(*exchange.watch_error());
    if (exchange.copy_error()) return failed(*exchange.copy_error());
    return {};
}

Result<int> Cmd::wait_fd() {
    if (!running_ || !running_->started) return failed(own_error(Errc::not_started));
    if (running_->waited) return failed(own_error(Errc::already_waited));
    return running_->exchange.done_fd();
}

std::optional<Result<>> Cmd::try_wait() {
    const auto fd = wait_fd();
    if (!fd) return failed(fd.error());
    pollfd watched{*fd, POLLIN, 0};
    if (::poll(&watched, 1, 0) == 0) return std::nullopt;
    return wait();
}

Result<> Cmd::run() {
    if (auto started = start_with(false); !started) return started;
    return wait();
}

Output Cmd::output() {
    return capture(false);
}
Output Cmd::combined_output() {
    return capture(true);
}

Output Cmd::capture(bool combined) {
    Output output;
    if (out.is_set()) {
        output.result = failed(own_error(Errc::stream_set, "exec: Stdout already set"));
        return output;
    }
    if (combined && err.is_set()) {
        output.result = failed(own_error(Errc::stream_set, "exec: Stderr already set"));
        return output;
    }
    out = Sink::buffer(output.bytes);
    HeadTail* captured = nullptr;
    if (combined) {
        err = out;
    } else if (!err.is_set()) {
        auto shared = std::make_shared<Sink::Shared>();
        shared->head_tail = std::make_unique<HeadTail>(kept_of_stderr);
        captured = shared->head_tail.get();
        err = Sink(std::move(shared));
    }
    output.result = run();
    if (captured != nullptr && !output.result && output.result.error().exit() != nullptr) {
        output.result = failed(exit_error({output.result.error().exit()->state, captured->text()}));
    }
    out = {}; // the memory behind it is the caller's now
    if (combined || captured != nullptr) err = {};
    return output;
}

} // namespace keep::exec
