#include <array>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/exec/environment.hpp"
#include "lib/exec/error_data.hpp"
#include "lib/exec/rung.hpp"
#include "lib/exec/running.hpp"

namespace keep::exec {
namespace {

// The child's three descriptors, and those of them that are open for it alone.
struct Streams {
    std::array<int, 3> stdio{null_device, null_device, null_device};
    std::array<Fd, 2 + 1> childs;
};

struct Ends {
    Fd read;
    Fd write;
};

Result<Ends> make_pipe() {
    std::array<int, 2> ends{-1, -1};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return failed(call_error("pipe2", "", errno));
    return Ends{Fd::adopt(ends[0]), Fd::adopt(ends[1])};
}

// Of our end alone: the two ends of a pipe have flags of their own.
void make_nonblocking(const Fd& fd) {
    ::fcntl(fd.get(), F_SETFL, O_NONBLOCK);
}

Error used_up() {
    return call_error("start", "owned descriptor", EBADF);
}

Result<> arrange_input(const Source& source, Streams& streams, Exchange& exchange) {
    if (source.descriptor() >= 0) {
        streams.stdio[0] = source.descriptor();
    } else if (source.shared() && source.shared()->descriptor) {
        if (!source.shared()->owned) return failed(used_up());
        streams.stdio[0] = source.shared()->owned.get();
    } else if (source.shared()) {
        auto ends = make_pipe();
        if (!ends) return failed(ends.error());
        make_nonblocking(ends->write);
        streams.stdio[0] = ends->read.get();
        streams.childs[0] = std::move(ends->read);
        exchange.copy(Inflow(std::move(ends->write), source.shared()));
    }
    return {};
}

Result<> arrange_output(const Sink& sink, std::size_t number, Streams& streams, Exchange& exchange) {
    if (sink.descriptor() >= 0) {
        streams.stdio[number] = sink.descriptor();
    } else if (sink.shared() && sink.shared()->descriptor) {
        if (!sink.shared()->owned) return failed(used_up());
        streams.stdio[number] = sink.shared()->owned.get();
    } else if (sink.shared()) {
        auto ends = make_pipe();
        if (!ends) return failed(ends.error());
        make_nonblocking(ends->read);
        streams.stdio[number] = ends->write.get();
        streams.childs[number] = std::move(ends->write);
        exchange.copy(Outflow(std::move(ends->read), sink.shared()));
    }
    return {};
}

// Go's os.StartProcess looks at the directory beforehand where nothing can change what it means in the child: the error
// is clearer so.
std::optional<Error> missing_directory(const CmdConfig& config) {
    if (config.dir.empty() || !(config.sys == SysProcAttr{})) return std::nullopt;
    if (config.dir.find('\0') != std::string::npos) return std::nullopt; // refused for that
    struct stat about{};
    if (::stat(config.dir.c_str(), &about) == 0) return std::nullopt;
    Error::Data data;
    data.code = system_code(errno);
    data.op = "chdir";
    data.path = config.dir;
    data.step = Step::chdir;
    data.message = "chdir " + config.dir + ": " + errno_text(errno);
    return Error(std::make_shared<const Error::Data>(std::move(data)));
}

SpawnSpec spec_of(const CmdConfig& config, const Streams& streams) {
    SpawnSpec spec;
    spec.path = config.path;
    spec.argv = config.args;
    spec.dir = config.dir;
    spec.stdio = streams.stdio;
    for (std::size_t i = 0; i < config.extra_files.size(); ++i) {
        if (config.extra_files[i] >= 0) spec.extra_fds.emplace_back(config.extra_files[i], 3 + static_cast<int>(i));
    }
    spec.sys = config.sys;
    return spec;
}

template <typename Stream>
void let_go_of(const Stream& stream) {
    if (stream.shared() && stream.shared()->descriptor) stream.shared()->owned.reset();
}
template <typename Stream>
void let_go_of_pipe(const Stream& stream) {
    if (stream.shared() && stream.shared()->of_pipe) stream.shared()->owned.reset();
}

} // namespace

Result<> Cmd::start() {
    return start_with(true);
}

Result<> Cmd::start_with(bool own_thread) {
    if (!running_ || running_->asked) return failed(own_error(Errc::already_started));
    running_->asked = true;
    auto outcome = start_checked(own_thread);
    if (outcome) {
        let_go_of(in);
        let_go_of(out);
        let_go_of(err);
        return outcome;
    }
    // All that was made for it is closed: the child's ends, and those of the handles.
    let_go_of_pipe(in);
    let_go_of_pipe(out);
    let_go_of_pipe(err);
    running_->exchange.let_go();
    running_->close_handles();
    return outcome;
}

Result<> Cmd::start_checked(bool own_thread) {
    if (path.empty() && !lookup_error) return failed(own_error(Errc::no_command));
    if (lookup_error) return failed(*lookup_error);
    if (cancel && !has_context) return failed(own_error(Errc::cancel_without_context));
    if (const auto ended = context.ended(); has_context && ended) return failed(own_error(*ended));

    Exchange& exchange = running_->exchange;
    Streams streams;
    if (auto done = arrange_input(in, streams, exchange); !done) return done;
    if (auto done = arrange_output(out, 1, streams, exchange); !done) return done;
    if (err.is_set() && err == out) {
        streams.stdio[2] = streams.stdio[1];
    } else if (auto done = arrange_output(err, 2, streams, exchange); !done) {
        return done;
    }
    for (const auto& handle : running_->handles)
        exchange.also_close(handle);

    Environment environment;
    if (auto built = environment.build(*this); !built) return built;
    if (environment.has_nul()) return failed(own_error(Errc::nul_in_environment));
    if (auto missing = missing_directory(*this)) return failed(*missing);
    Exchange::Terms terms{has_context ? context : Context{}, cancel, wait_delay};
    if (auto ready = exchange.prepare(std::move(terms), own_thread); !ready) return ready;

    const SpawnSpec spec = spec_of(*this, streams);
    auto process = spawn_on(Rung::automatic, spec, environment.pointers());
    if (!process) return failed(process.error());
    running_->process = std::move(*process);
    exchange.attach(running_->process);
    for (Fd& fd : streams.childs)
        fd.reset();
    if (own_thread && exchange.has_work()) {
        if (auto begun = exchange.begin_thread(); !begun) {
            (void)running_->process.kill();
            exchange.abandon();
            return begun;
        }
    }
    running_->started = true;
    return {};
}

} // namespace keep::exec
