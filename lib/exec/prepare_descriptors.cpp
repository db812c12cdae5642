#include "lib/exec/prepare_descriptors.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>

#include "lib/exec/error_data.hpp"
#include "lib/exec/null_device.hpp"

namespace keep::exec {
namespace {

// The kernel copies a table of descriptors in steps of this many.
constexpr int small_table = 64;

bool is_target(int fd, const Preparation& into) {
    return fd < 3 || std::ranges::binary_search(into.kept, fd);
}

Result<> collect_stdio(const SpawnSpec& spec, Preparation& into) {
    for (int number = 0; number < 3; ++number) {
        const int from = spec.stdio[static_cast<std::size_t>(number)];
        if (from >= 0) {
            into.moves.push_back({from, number});
        } else if (from == null_device) {
            into.plan.null_for |= 1U << number;
        } else {
            into.plan.closed |= 1U << number;
        }
    }
    return {};
}

Result<> collect_others(const SpawnSpec& spec, Preparation& into) {
    for (const auto& [from, to] : spec.extra_fds) {
        const auto shown = [&] { return "descriptor " + std::to_string(from) + " to " + std::to_string(to); };
        if (to < 3) return refuse(spec, Step::prepare, EINVAL, shown());
        if (from < 0) return refuse(spec, Step::prepare, EBADF, shown());
        if (std::ranges::find(into.kept, to) != into.kept.end()) {
            return refuse(spec, Step::prepare, EINVAL, shown() + " (given twice)");
        }
        into.moves.push_back({from, to});
        into.kept.push_back(to);
    }
    for (const int fd : spec.sys.keep_fds) {
        if (fd < 3 || std::ranges::find(into.kept, fd) != into.kept.end()) continue; // placed, or handled as stdio
        into.kept.push_back(fd);
        into.unmark.push_back(fd);
    }
    std::ranges::sort(into.kept);
    return {};
}

// A number that some move overwrites must not be read afterwards, by whichever move: such sources are copied out of
// the way here, where nothing limits the numbers but the caller's own RLIMIT_NOFILE. Then the order is irrelevant.
std::expected<int, int> copied_away(int fd, Preparation& into) {
    const int above = std::max(into.kept.empty() ? 0 : into.kept.back(), 2) + 1;
    const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, above);
    if (copy < 0) return std::unexpected(errno);
    into.copies.push_back(Fd::adopt(copy));
    return copy;
}

Result<> move_out_of_the_way(const SpawnSpec& spec, Preparation& into) {
    for (FdMove& move : into.moves) {
        if (move.from == move.to || !is_target(move.from, into)) continue;
        const auto from = copied_away(move.from, into);
        if (!from) return refuse(spec, Step::fds, from.error(), "descriptor " + std::to_string(move.from));
        move.from = *from;
    }
    return {};
}

// A descriptor that is used in the child but is not its program's: its own number there, closed by the exec.
Result<int> helper_descriptor(const SpawnSpec& spec, int fd, Preparation& into) {
    if (is_target(fd, into)) {
        const auto copy = copied_away(fd, into);
        if (!copy) return failed(start_error(spec.path, Step::fds, copy.error(), "descriptor " + std::to_string(fd)));
        fd = *copy;
    }
    into.kept.insert(std::ranges::upper_bound(into.kept, fd), fd);
    return fd;
}

int highest_source(const Preparation& into) {
    int highest = 2;
    for (const FdMove& move : into.moves)
        highest = std::max(highest, move.from);
    return highest;
}

// Go's words. The terminal has to be one of the child's own descriptors.
Result<> check_terminal(const SpawnSpec& spec, const Preparation& into) {
    const SysProcAttr& sys = spec.sys;
    if (!sys.setctty) return {};
    if (sys.foreground) return failed(refused_start(spec.path, "both Setctty and Foreground set in SysProcAttr"));
    const bool is_stream = sys.ctty >= 0 && sys.ctty < 3 && (into.plan.closed & 1U << sys.ctty) == 0;
    if (is_stream || std::ranges::binary_search(into.kept, sys.ctty)) return {};
    return failed(refused_start(spec.path, "Setctty set but Ctty not valid in child"));
}

// A directory that only looks like one must not be taken for a cgroup: clone3 says EBADF of it.
Result<> check_joined_cgroup(const SpawnSpec& spec, const Manner& manner) {
    if (manner.joins_cgroup_fd < 0) return {};
    struct statfs about{};
    if (::fstatfs(manner.joins_cgroup_fd, &about) == 0 && about.f_type == CGROUP2_SUPER_MAGIC) return {};
    return failed(start_error(spec.path, Step::cgroup, EBADF));
}

// The child opens /dev/null itself where ours would make it copy a larger table.
Result<> plan_null_device(const SpawnSpec& spec, Preparation& into) {
    const int highest = std::max(highest_source(into), small_table - 1);
    const auto serve = [&](unsigned numbers, NullUse use) -> Result<> {
        if ((into.plan.null_for & numbers) == 0) return {};
        const auto null = null_device_fd(use);
        if (!null) return refuse(spec, Step::fds, null.error().code, "/dev/null");
        if (*null > highest || is_target(*null, into)) return {};
        for (int number = 0; number < 3; ++number) {
            if ((into.plan.null_for & numbers & 1U << number) != 0) into.moves.push_back({*null, number});
        }
        into.plan.null_for &= ~numbers;
        return {};
    };
    if (auto done = serve(0b001, NullUse::read); !done) return done;
    return serve(0b110, NullUse::write);
}

// Sources with high numbers are copied to reserved low ones, if all of them find room there.
void stage_high_sources(Preparation& into, int fixed) {
    std::vector<int> high;
    for (const FdMove& move : into.moves) {
        if (move.from >= small_table && std::ranges::find(high, move.from) == high.end()) high.push_back(move.from);
    }
    const bool worth_it = !high.empty() && fixed < small_table;
    if (!worth_it || high.size() > static_cast<std::size_t>(Stage::places)) return;
    if (std::ranges::any_of(into.moves, [](const FdMove& m) { return m.from == m.to && m.from >= small_table; })) {
        return;
    }
    if (!into.stage.take(std::max(small_table, *std::ranges::max_element(high) / 2))) return;
    std::vector<FdMove> staged = into.moves;
    for (const int from : high) {
        const int place = into.stage.put(from);
        if (place < 0 || is_target(place, into)) return; // not all fit: the table is copied after all
        for (FdMove& move : staged) {
            if (move.from == from) move.from = place;
        }
    }
    into.moves = std::move(staged);
}

} // namespace

Result<> prepare_descriptors(const SpawnSpec& spec, const Manner& manner, Preparation& into) {
    ChildPlan& plan = into.plan;
    into.moves.reserve(3 + spec.extra_fds.size());
    if (auto done = collect_stdio(spec, into); !done) return done;
    if (auto done = collect_others(spec, into); !done) return done;
    if (auto done = check_terminal(spec, into); !done) return done;
    if (auto done = check_joined_cgroup(spec, manner); !done) return done;
    if (auto done = move_out_of_the_way(spec, into); !done) return done;
    if (auto done = plan_null_device(spec, into); !done) return done;

    int fixed = -1; // the highest number that must be there as it is
    for (const int fd : into.unmark)
        fixed = std::max(fixed, fd);
    plan.join_cgroup_fd = manner.joins_cgroup_fd;
    fixed = std::max(fixed, manner.joins_cgroup_fd);
    plan.foreground_fd = spec.sys.foreground ? spec.sys.ctty : -1;
    fixed = std::max(fixed, plan.foreground_fd);
    plan.exec_fd = -1;
    if (spec.exec_fd >= 0) {
        const auto fd = helper_descriptor(spec, spec.exec_fd, into);
        if (!fd) return failed(fd.error());
        plan.exec_fd = *fd;
        fixed = std::max(fixed, *fd);
    }
    if (manner.handshake_fd >= 0) { // never a target: spawn() has made it above them
        into.kept.insert(std::ranges::upper_bound(into.kept, manner.handshake_fd), manner.handshake_fd);
    }
    if (manner.share_table) stage_high_sources(into, fixed);
    plan.needed_below = static_cast<unsigned>(std::max(highest_source(into), fixed)) + 1;
    plan.moves = into.moves.data();
    plan.move_count = into.moves.size();
    plan.kept = into.kept.data();
    plan.kept_count = into.kept.size();
    plan.unmark = into.unmark.data();
    plan.unmark_count = into.unmark.size();
    return {};
}

} // namespace keep::exec
