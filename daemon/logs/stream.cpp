#include "daemon/logs/stream.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utility>

namespace keepd::logs {

using keep::Error;
using keep::Result;
using keep::sys::Fd;

namespace {

constexpr keep::Duration first_retry = std::chrono::milliseconds(100);
constexpr keep::Duration last_retry = std::chrono::seconds(5);

// What the kernel gives a pipe, and what a busy one gets. Idle ones stay small: a bigger pipe costs its table even when
// it is empty, and all its pages when its file hangs.
constexpr std::size_t default_pipe_size = std::size_t{64} << 10;
constexpr int busy_pipe_size = 1 << 20;

// Whether a file that answers so may be better opened anew by its path: a FIFO's reader is gone, a share was replaced.
bool needs_new_file(int code) {
    return code == EPIPE || code == ESTALE || code == ENXIO || code == EBADF;
}

} // namespace

Stream::Stream(std::uint64_t serial, std::string id, Target target, keep::sys::Pipe pipe)
    : serial_(serial), id_(std::move(id)), target_(std::move(target)), pipe_(std::move(pipe)), limit_(target_.max_size),
      counters_(std::make_shared<Counters>()) {}

Stream::Stream(std::uint64_t serial, const StreamState& state)
    : serial_(serial), id_(state.id), target_(state.target),
      pipe_{Fd::adopt(state.pipe_read), Fd::adopt(state.pipe_write)}, carried_file_(Fd::adopt(state.file)),
      line_{state.at_line_start, state.line_length}, limit_(target_.max_size), counters_(std::make_shared<Counters>()) {
    counters_->bytes = state.bytes;
    counters_->dropped_bytes = state.dropped_bytes;
}

StreamState Stream::release() {
    // The new image opens it by its path.
    if (reopen_after_) close_file();
    StreamState state;
    state.id = id_;
    state.target = target_;
    state.pipe_read = pipe_.read.release();
    state.pipe_write = pipe_.write.release();
    state.offset = file_ ? file_->offset() : 0;
    state.file = file_ ? file_->release().release() : carried_file_.release();
    state.at_line_start = line_.at_start;
    state.line_length = line_.length;
    state.bytes = counters_->bytes;
    state.dropped_bytes = counters_->dropped_bytes;
    return state;
}

void Stream::retarget(Target target) {
    if (target.path != target_.path) {
        close_file();
        reopen_after_.reset();
        write_problem_.clear();
    }
    target_ = std::move(target);
    limit_ = target_.max_size;
    retry_delay_ = {};
    rotation_problem_.clear();
    problem_changed_ = true;
}

void Stream::reopen() {
    // A file that takes nothing is not waited for: it may be the reason of the order.
    if (!write_problem_.empty())
        close_file();
    else
        reopen_after_ = bytes_in_pipe();
}

void Stream::retry_later(Turn unwatched) {
    const char* why = unwatched == Turn::full ? "its reader does not read" : "the program's pipe can't be watched";
    stall({EAGAIN, "write '" + target_.path + "': " + why});
}

void Stream::close_file() {
    file_.reset();
    carried_file_.reset();
}

std::size_t Stream::bytes_in_pipe() const {
    int bytes = 0;
    return ::ioctl(pipe_.read.get(), FIONREAD, &bytes) == 0 ? static_cast<std::size_t>(bytes) : 0;
}

bool Stream::at_end() const {
    if (pipe_.write) return false;
    pollfd look{pipe_.read.get(), POLLIN, 0};
    return ::poll(&look, 1, 0) == 1 && (look.revents & POLLHUP) && !(look.revents & POLLIN);
}

Stream::Report Stream::turn(Workbench& bench) {
    Step step;
    std::size_t budget = bytes_per_turn;
    if (auto ready = ready_file(bench); !ready) {
        step = stall(ready.error());
    } else {
        if (file_) file_->seek_end();
        while (step.turn == Turn::more && budget > 0) {
            step = target_.path.empty() ? discard_step(bench, budget)
                   : must_look()        ? looking_step(bench, budget)
                                        : unseen_step(bench, budget);
            budget -= std::min(budget, step.bytes);
        }
    }
    if (step.turn == Turn::stalled && at_end()) step.turn = Turn::ended;
    return {step.turn, bytes_per_turn - budget, publish()};
}

// The file that the next byte goes to, open.
Result<> Stream::ready_file(Workbench& bench) {
    if (target_.path.empty()) {
        reopen_after_.reset();
        return {};
    }
    if (carried_file_) {
        auto adopted = LogFile::adopt(std::move(carried_file_));
        if (adopted) file_ = std::move(*adopted);
    }
    if (file_ && reopen_after_) {
        learn_line();
        if (*reopen_after_ == 0 && line_.at_start) close_file();
    }
    if (file_) return {};

    auto opened = LogFile::open(bench.io(), target_.path);
    if (!opened) return std::unexpected(opened.error());
    file_ = std::move(*opened);
    line_ = {false, 0};
    line_known_ = false;
    limit_ = target_.max_size;
    reopen_after_.reset();
    if (!write_problem_.empty()) {
        write_problem_.clear();
        problem_changed_ = true;
    }
    return {};
}

bool Stream::must_look() const {
    if (file_->copies() || reopen_after_) return true;
    return file_->rotates() && limit_ > 0 && file_->offset() + longest_line >= limit_;
}

void Stream::learn_line() {
    if (std::exchange(line_known_, true)) return;
    line_.at_start = file_->ends_in_newline().value_or(line_.at_start);
}

Stream::Step Stream::discard_step(Workbench& bench, std::size_t budget) {
    const ssize_t gone = ::splice(pipe_.read.get(), nullptr, bench.null(), nullptr, budget, SPLICE_F_NONBLOCK);
    if (gone < 0) return nothing_moved("discard from", errno);
    if (gone == 0) return {Turn::ended, 0};
    return {static_cast<std::size_t>(gone) < budget ? Turn::idle : Turn::more, static_cast<std::size_t>(gone)};
}

// Far from a rotation nobody needs to know where lines end.
Stream::Step Stream::unseen_step(Workbench& bench, std::size_t budget) {
    std::size_t length = budget;
    if (file_->rotates() && limit_ > 0)
        length = static_cast<std::size_t>(std::min<std::uint64_t>(length, limit_ - longest_line - file_->offset()));
    const ssize_t moved = bench.io().splice(pipe_.read.get(), file_->fd(), file_->offset_for_write(), length);
    if (moved < 0) return nothing_moved("write", errno);
    if (moved == 0) return {Turn::ended, 0};
    line_.append_unseen();
    line_known_ = false;
    count(static_cast<std::size_t>(moved));
    return {static_cast<std::size_t>(moved) < length ? Turn::idle : Turn::more, static_cast<std::size_t>(moved)};
}

Stream::Step Stream::looking_step(Workbench& bench, std::size_t budget) {
    learn_line();
    const std::string_view seen = bench.look(pipe_.read.get(), budget);
    if (seen.empty()) {
        const int code = errno;
        if (reopen_after_ && (code == 0 || code == EAGAIN)) {
            close_file();
            if (code == 0) return {Turn::ended, 0};
            if (auto ready = ready_file(bench); !ready) return stall(ready.error());
        }
        if (code == 0) return {Turn::ended, 0};
        return nothing_moved("look at", code);
    }

    Cut cut{seen.size(), false};
    if (file_->rotates() && limit_ > 0)
        cut = cut_at_line_end(seen, seen.size() == Workbench::look_size, file_->offset(), limit_, line_);
    bool reopen_behind = false;
    if (reopen_after_) {
        const auto before = bytes_before_reopening(seen);
        reopen_behind = before && *before <= cut.take;
        if (reopen_behind) cut = {*before, false};
    }

    Step step;
    if (cut.take > 0) {
        step = move(bench, seen, cut.take);
        if (step.bytes < cut.take) return step;
    }
    if (cut.rotate) rotate(bench);
    if (reopen_behind) close_file();
    if (!file_) {
        if (auto ready = ready_file(bench); !ready) return stall(ready.error());
    }
    // All that was there is gone: one look more would find nothing.
    if (cut.take == seen.size() && seen.size() < Workbench::look_size && !reopen_after_) step.turn = Turn::idle;
    return step;
}

// How many of the bytes seen still belong to the file that is to be reopened: up to the first line end at or behind
// those that were in the pipe when the order came. Nothing: all of them.
std::optional<std::size_t> Stream::bytes_before_reopening(std::string_view seen) const {
    if (*reopen_after_ == 0 && line_.at_start) return 0;
    if (*reopen_after_ > seen.size()) return {};
    const std::size_t owed = static_cast<std::size_t>(*reopen_after_);
    const std::size_t newline = seen.find('\n', owed == 0 ? 0 : owed - 1);
    if (newline != seen.npos) return newline + 1;
    if (line_.length + seen.size() > longest_line) return owed;
    return {};
}

// The first `count` bytes of those seen go from the pipe into the file.
Stream::Step Stream::move(Workbench& bench, std::string_view seen, std::size_t count_wanted) {
    ssize_t moved = -1;
    if (!file_->copies()) {
        moved = bench.io().splice(pipe_.read.get(), file_->fd(), file_->offset_for_write(), count_wanted);
        if (moved < 0) return nothing_moved("write", errno);
    } else {
        // Written first, taken out of the pipe then: there is never a byte that only our memory has.
        moved = bench.io().write(file_->fd(), seen.substr(0, count_wanted), file_->offset_for_write());
        if (moved < 0) return nothing_moved("write", errno);
        bench.discard(pipe_.read.get(), static_cast<std::size_t>(moved));
    }
    const auto bytes = static_cast<std::size_t>(moved);
    line_.append(seen.substr(0, bytes));
    if (reopen_after_) *reopen_after_ -= std::min<std::uint64_t>(*reopen_after_, bytes);
    count(bytes);
    return {Turn::more, bytes};
}

Stream::Step Stream::nothing_moved(std::string_view operation, int code) {
    if (code == EINTR) return {Turn::more, 0};
    if (code == EAGAIN) {
        // Of the two ends it is the target that has no room, if the pipe has bytes.
        const bool target_full = file_ && file_->kind() != FileKind::regular && bytes_in_pipe() > 0;
        if (!target_full) return {Turn::idle, 0};
        write_problem_ = "write '" + target_.path + "': its reader does not read; the program waits";
        problem_changed_ = true;
        return {Turn::full, 0};
    }
    if (code == EINVAL && file_ && !file_->copies()) {
        file_->copy_from_now_on();
        return {Turn::more, 0};
    }
    const Error error = keep::fail_errno(operation, target_.path, code).error();
    if (needs_new_file(code)) close_file();
    return stall(error);
}

Stream::Step Stream::stall(const Error& error) {
    retry_delay_ = std::clamp(retry_delay_ * 2, first_retry, last_retry);
    retry_at_ = keep::sys::monotonic_now() + retry_delay_;
    write_problem_ = error.message + ", retrying; the program waits";
    problem_changed_ = true;
    return {Turn::stalled, 0};
}

void Stream::rotate(Workbench& bench) {
    // Renamed or removed by somebody: then it is out of the way, and what is now at the path is not ours to rename.
    if (file_->is_at(target_.path)) {
        if (auto shifted = shift_rotated(bench.io(), target_.path, target_.max_files); !shifted) {
            rotation_problem_ = "rotate: " + shifted.error().message + "; the file grows beyond its max_size";
            problem_changed_ = true;
            limit_ = file_->offset() + std::max<std::uint64_t>(target_.max_size / 8, longest_line / 16);
            return;
        }
    }
    if (!rotation_problem_.empty()) {
        rotation_problem_.clear();
        problem_changed_ = true;
    }
    close_file();
}

void Stream::count(std::size_t bytes) {
    counters_->bytes.fetch_add(bytes, std::memory_order_relaxed);
    if (!write_problem_.empty() || retry_delay_ != keep::Duration{}) {
        write_problem_.clear();
        retry_delay_ = {};
        problem_changed_ = true;
    }
    if (!grown_ && bytes >= default_pipe_size) {
        grown_ = true;
        ::fcntl(pipe_.read.get(), F_SETPIPE_SZ, busy_pipe_size);
    }
}

// Whether status changed from or to "no problem".
bool Stream::publish() {
    if (!std::exchange(problem_changed_, false)) return false;
    return counters_->set_problem(write_problem_.empty() ? rotation_problem_ : write_problem_);
}

} // namespace keepd::logs
