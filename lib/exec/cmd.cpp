#include <keep/exec/cmd.hpp>

#include <exception>

#include <keep/exec/look_path.hpp>

#include "lib/exec/environment.hpp"
#include "lib/exec/error_data.hpp"
#include "lib/exec/running.hpp"
#include "lib/exec/stream_ends.hpp"
#include "lib/exec/thread.hpp"

namespace keep::exec {
namespace {

Cmd command_at(std::string_view name, std::vector<std::string> args, const Result<std::string>& found) {
    Cmd cmd;
    cmd.path = name;
    cmd.args = std::move(args);
    cmd.args.emplace(cmd.args.begin(), name);
    if (found) {
        cmd.path = *found;
    } else {
        if (found.error().is(Errc::dot)) cmd.path = found.error().path();
        cmd.lookup_error = found.error();
    }
    return cmd;
}

// A name with a slash is left to the start to judge, as is none at all.
Result<std::string> find(std::string_view name) {
    if (name.empty() || name.find('/') != std::string_view::npos) return std::string(name);
    return look_path(name);
}

} // namespace

// What it copies into must live on; the handles are their users' now.
bool Cmd::detach(std::unique_ptr<Running>& running) {
    Running* goes_on = running.get();
    if (!start_thread([goes_on] {
            goes_on->exchange.finish();
            delete goes_on;
        })) {
        return false;
    }
    (void)running.release();
    return true;
}

Cmd::Cmd() : running_(std::make_unique<Running>()) {}

Cmd::Cmd(CmdConfig config) : CmdConfig(std::move(config)), running_(std::make_unique<Running>()) {}

Cmd::Cmd(Cmd&&) noexcept = default;

Cmd& Cmd::operator=(Cmd&& other) noexcept {
    if (this == &other) return *this;
    const Cmd former(std::move(*this)); // destroyed by its own policy
    static_cast<CmdConfig&>(*this) = std::move(static_cast<CmdConfig&>(other));
    running_ = std::move(other.running_);
    return *this;
}

Cmd::~Cmd() {
    if (!running_) return;
    if (!running_->started || running_->waited) {
        running_->close_handles();
        return;
    }
    if (on_destroy == OnDestroy::abort) std::terminate();
    // Without a thread to be had it cannot be left unreaped: then it is killed.
    if (on_destroy == OnDestroy::detach && detach(running_)) return;
    (void)running_->process.kill();
    running_->exchange.abandon();
    running_->close_handles();
}

CmdConfig Cmd::config() const {
    CmdConfig copy = *this;
    if (copy.in.shared() && copy.in.shared()->of_pipe) copy.in = {};
    if (copy.out.shared() && copy.out.shared()->of_pipe) copy.out = {};
    if (copy.err.shared() && copy.err.shared()->of_pipe) copy.err = {};
    return copy;
}

Process* Cmd::process() noexcept {
    return running_ && running_->started ? &running_->process : nullptr;
}

const ProcessState* Cmd::state() const noexcept {
    return running_ && running_->state ? &*running_->state : nullptr;
}

std::vector<std::string> Cmd::environ() const {
    Environment environment;
    (void)environment.build(*this);
    return environment.copy();
}

std::string Cmd::to_string() const {
    std::string text = lookup_error ? (args.empty() ? "" : args[0]) : path;
    for (std::size_t i = 1; i < args.size(); ++i)
        text += ' ' + args[i];
    return text;
}

Cmd command(std::string_view name, std::vector<std::string> args) {
    return command_at(name, std::move(args), find(name));
}

Cmd command(Context context, std::string_view name, std::vector<std::string> args) {
    Cmd cmd = command(name, std::move(args));
    cmd.context = std::move(context);
    cmd.has_context = true;
    cmd.cancel = [](Process& process) { return process.kill(); };
    return cmd;
}

Cmd command_in(std::string_view path_list, std::string_view name, std::vector<std::string> args) {
    const bool as_it_is = name.find('/') != std::string_view::npos;
    return command_at(name, std::move(args), as_it_is ? Result<std::string>(name) : look_path(name, path_list));
}

} // namespace keep::exec
