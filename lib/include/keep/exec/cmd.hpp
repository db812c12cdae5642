// Layer 2: a command with its streams, its context and its result. The counterpart of Go's os/exec.Cmd; what Go's
// documentation says of a field holds here, and lib/exec/coming-from-go.md lists where it does not.
//
//     auto [text, result] = exec::command("git", "rev-parse", "HEAD").output();
//     if (!result) std::cerr << result.error().message() << '\n';
#pragma once

#include <chrono>
#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <keep/exec/context.hpp>
#include <keep/exec/pipe.hpp>
#include <keep/exec/spawn.hpp>
#include <keep/exec/streams.hpp>

namespace keep::exec {

// What becomes of a command that is destroyed after start() and before wait().
enum class OnDestroy : std::uint8_t {
    kill,   // killed, its streams closed, reaped; the destructor waits for that
    detach, // goes on; a thread copies its streams, reaps it and forgets its result
    abort   // std::terminate(), as std::thread does
};

// What to run and how: the part of a command that may be copied, kept, and run again as another Cmd.
struct CmdConfig {
    std::string path;              // the program; relative: to dir. Never looked up: command() has done that
    std::vector<std::string> args; // args[0] is the name as given; empty: {path}
    // "KEY=value"; of equal keys the last one counts. Nothing: this process's environment as of start(), with PWD set
    // to dir where there is one. An empty list: no environment.
    std::optional<std::vector<std::string>> env;
    std::string dir; // "": this process's
    Source in;
    Sink out;
    Sink err;
    std::vector<int> extra_files; // entry i becomes descriptor 3+i; -1 leaves that number closed. Borrowed
    SysProcAttr sys;
    Context context;
    bool has_context = false; // made by command() with a Context
    // Called once, as soon as the context has ended, by the thread that copies or waits. Preset to a kill by command()
    // with a Context. What it returns decides what wait() says of an exit with 0: success: the context's error;
    // Errc::process_done: none; another error: "exec: canceling Cmd: ...".
    std::function<Result<>(Process&)> cancel;
    // How long, from the end of the context or of the process, whichever is first, to wait for the process to end and
    // for its pipes to close; then it is killed, and they are closed. 0: for ever. Negative: not at all.
    std::chrono::nanoseconds wait_delay{0};
    std::optional<Error> lookup_error; // why path could not be found: start() returns it. Reset it to run all the same
    OnDestroy on_destroy = OnDestroy::kill;
};

// The outcome of Cmd::output(): what the command wrote is there also when it failed.
struct Output {
    Bytes bytes;
    Result<> result;
    explicit operator bool() const noexcept { return result.has_value(); }
};

// A command that runs once. Move-only. One thread at a time may call its functions, but for process()->signal(),
// to_string() and the pipe handles, which may be used from any.
class KEEPEXEC_API Cmd : public CmdConfig {
  public:
    Cmd(); // of an empty configuration, to be filled
    explicit Cmd(CmdConfig config);
    Cmd(Cmd&&) noexcept;
    Cmd& operator=(Cmd&&) noexcept; // what was there before is destroyed first
    ~Cmd();

    // A copy of the configuration alone, streams made by *_pipe() left out: to run the same again.
    CmdConfig config() const;

    // Starts it, and one thread if something has to be copied or a context watched. Errors, checked in this order:
    // Errc::already_started, Errc::no_command, lookup_error, Errc::cancel_without_context, the context's; then those of
    // pipes, Errc::nul_in_environment, and spawn()'s. After a failure everything that was opened for it is closed.
    Result<> start();

    // Waits for the end and for the copying. Errors, the first that applies: not_started, already_waited; Errc::
    // unsuccessful with Error::exit() for anything but exit 0, or what kept us from knowing; the context's or cancel's;
    // a reader's or writer's; Errc::wait_delay.
    Result<> wait();

    // For an event loop: a descriptor that becomes readable when wait() would not wait; the same one until wait(), and
    // the command's own: not to be closed or read. Errors: not_started, already_waited, EMFILE, ENFILE.
    Result<int> wait_fd();
    // As wait(), or nothing while it would wait.
    std::optional<Result<>> try_wait();

    // start() and wait(), in this thread alone: no thread is started.
    Result<> run();
    // run() with the standard output captured. Where `err` is not set, the head and tail of the standard error are in
    // the error's exit()->stderr_text. Errors besides run()'s: stream_set, where `out` is set.
    Output output();
    // The same with both streams in one, in order.
    Output combined_output();

    // Pipes to and from the command; before start() only. Errors: stream_set, pipe_after_start, EMFILE.
    Result<PipeWriter> stdin_pipe();
    Result<PipeReader> stdout_pipe();
    Result<PipeReader> stderr_pipe();

    // The environment that start() would give it; entries with a NUL left out.
    std::vector<std::string> environ() const;
    // Path and arguments with spaces between; for people, not for a shell.
    std::string to_string() const;

    Process* process() noexcept;                // null until it was started
    const ProcessState* state() const noexcept; // null until it was waited for

  private:
    struct Running;
    static bool detach(std::unique_ptr<Running>& running);
    Result<> start_with(bool own_thread);
    Result<> start_checked(bool own_thread);
    Output capture(bool combined);
    Result<PipeReader> output_pipe(Sink& stream, std::string_view name);
    std::unique_ptr<Running> running_;
};

// The command that runs `name`, looked up in PATH now if it has no slash, with these arguments. A failed lookup is kept
// in lookup_error.
KEEPEXEC_API Cmd command(std::string_view name, std::vector<std::string> args);
// The same, given up when `context` ends: it is killed then, unless `cancel` is set otherwise. Go's CommandContext.
KEEPEXEC_API Cmd command(Context context, std::string_view name, std::vector<std::string> args);
// The same, looked up in `path_list` (as PATH) instead.
KEEPEXEC_API Cmd command_in(std::string_view path_list, std::string_view name, std::vector<std::string> args);

template <typename... Text>
    requires(std::convertible_to<Text, std::string_view> && ...)
Cmd command(std::string_view name, const Text&... args) {
    return command(name, std::vector<std::string>{std::string(std::string_view(args))...});
}
template <typename... Text>
    requires(std::convertible_to<Text, std::string_view> && ...)
Cmd command(Context context, std::string_view name, const Text&... args) {
    return command(std::move(context), name, std::vector<std::string>{std::string(std::string_view(args))...});
}

} // namespace keep::exec
