// One stream: the pipe that programs write into, the file its bytes go to, and the rules by which they move.
//
// Used by the pump's thread alone; only its Counters are shared. A byte is in the pipe until it is in the file: what a
// stream knows besides can be lost without losing a byte.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "daemon/logs/line_cut.hpp"
#include "daemon/logs/log_file.hpp"
#include "daemon/logs/pump.hpp"
#include "daemon/logs/workbench.hpp"
#include "lib/base/error.hpp"
#include "lib/base/time.hpp"
#include "lib/sys/fd.hpp"

namespace keepd::logs {

class Stream {
  public:
    Stream(std::uint64_t serial, std::string id, Target, keep::sys::Pipe);
    Stream(std::uint64_t serial, const StreamState&); // adopts its descriptors

    // How a turn ended, which is what the stream waits for.
    enum class Turn : std::uint8_t {
        idle,    // for bytes in the pipe (or its end)
        more,    // for its next turn
        full,    // for room in the target, target_fd()
        stalled, // for the time retry_at(); the problem is set
        ended,   // for nothing: it was being drained, and the pipe is empty and has no writer
    };
    struct Report {
        Turn next = Turn::idle;
        std::size_t moved = 0;       // bytes taken out of the pipe, at most bytes_per_turn
        bool problem_turned = false; // a problem began or ended
    };
    Report turn(Workbench&);
    static constexpr std::size_t bytes_per_turn = std::size_t{1} << 20;

    // Orders. They take effect in the next turn, which is due at once.
    void retarget(Target);
    void reopen();
    void close() { pipe_.write.reset(); }
    // Where what this turn ended with can't be waited for: the target's room, or the pipe.
    void retry_later(Turn);

    std::uint64_t serial() const { return serial_; }
    int pipe_fd() const { return pipe_.read.get(); }
    int write_fd() const { return pipe_.write.get(); }
    int target_fd() const { return file_ ? file_->fd() : -1; }
    keep::Time retry_at() const { return retry_at_; }
    std::size_t bytes_in_pipe() const;
    const std::string& id() const { return id_; }
    const Target& target() const { return target_; }
    const std::shared_ptr<Counters>& counters() const { return counters_; }

    // Gives everything away, descriptors included.
    StreamState release();

  private:
    struct Step {
        Turn turn = Turn::more; // more: go on
        std::size_t bytes = 0;
    };
    keep::Result<> ready_file(Workbench&);
    bool must_look() const;
    void learn_line();
    Step discard_step(Workbench&, std::size_t budget);
    Step unseen_step(Workbench&, std::size_t budget);
    Step looking_step(Workbench&, std::size_t budget);
    Step move(Workbench&, std::string_view seen, std::size_t count);
    Step nothing_moved(std::string_view operation, int code);
    Step stall(const keep::Error&);
    std::optional<std::size_t> bytes_before_reopening(std::string_view seen) const;
    void rotate(Workbench&);
    void close_file();
    void count(std::size_t bytes);
    bool publish();
    bool at_end() const;

    std::uint64_t serial_;
    std::string id_;
    Target target_;
    keep::sys::Pipe pipe_;
    keep::sys::Fd carried_file_; // from an earlier image, not looked at yet (that may hang with its disk)
    std::optional<LogFile> file_;
    LineState line_;
    bool line_known_ = false; // false: bytes went into the file unseen; its last one says where the line stands
    std::uint64_t limit_;     // max_size, or more after a rotation that failed

    std::optional<std::uint64_t> reopen_after_; // reopening was ordered: bytes that still belong to the file
    bool grown_ = false;                        // the pipe was made bigger, or could not be

    keep::Time retry_at_;
    keep::Duration retry_delay_{};
    std::string write_problem_;
    std::string rotation_problem_;
    bool problem_changed_ = false;
    std::shared_ptr<Counters> counters_;
};

} // namespace keepd::logs
