#include <array>
#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

#include "lib/exec/error_data.hpp"
#include "lib/exec/running.hpp"
#include "lib/exec/stream_ends.hpp"

namespace keep::exec {
namespace {

struct Handle {
    Fd childs;
    std::shared_ptr<PipeEnd> ours;
};

Result<Handle> make_handle(bool writes) {
    std::array<int, 2> ends{-1, -1};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return failed(call_error("pipe2", "", errno));
    Fd read = Fd::adopt(ends[0]);
    Fd write = Fd::adopt(ends[1]);
    Fd& ours = writes ? write : read;
    ::fcntl(ours.get(), F_SETFL, O_NONBLOCK); // the two ends have flags of their own
    auto end = std::make_shared<PipeEnd>(std::move(ours), writes ? "|1" : "|0");
    return Handle{writes ? std::move(read) : std::move(write), std::move(end)};
}

} // namespace

Result<PipeWriter> Cmd::stdin_pipe() {
    if (in.is_set()) return failed(own_error(Errc::stream_set, "exec: Stdin already set"));
    if (!running_ || running_->asked) {
        return failed(own_error(Errc::pipe_after_start, "exec: StdinPipe after process started"));
    }
    auto made = make_handle(true);
    if (!made) return failed(made.error());
    auto shared = std::make_shared<Source::Shared>();
    shared->descriptor = shared->of_pipe = true;
    shared->owned = std::move(made->childs);
    in = Source(std::move(shared));
    running_->handles.push_back(made->ours);
    return PipeWriter(std::move(made->ours));
}

Result<PipeReader> Cmd::output_pipe(Sink& stream, std::string_view name) {
    if (stream.is_set()) {
        return failed(own_error(Errc::stream_set, "exec: " + std::string(name) + " already set"));
    }
    if (!running_ || running_->asked) {
        return failed(own_error(Errc::pipe_after_start, "exec: " + std::string(name) + "Pipe after process started"));
    }
    auto made = make_handle(false);
    if (!made) return failed(made.error());
    auto shared = std::make_shared<Sink::Shared>();
    shared->descriptor = shared->of_pipe = true;
    shared->owned = std::move(made->childs);
    stream = Sink(std::move(shared));
    running_->handles.push_back(made->ours);
    return PipeReader(std::move(made->ours));
}

Result<PipeReader> Cmd::stdout_pipe() {
    return output_pipe(out, "Stdout");
}
Result<PipeReader> Cmd::stderr_pipe() {
    return output_pipe(err, "Stderr");
}

} // namespace keep::exec
