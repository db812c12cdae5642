#include "lib/exec/preparation.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <unistd.h>

#include "lib/exec/null_device.hpp"

namespace keep::exec {
namespace {

using Outcome = std::expected<void, SpawnError>;

Outcome refuse(const SpawnSpec& spec, Step step, int code, std::string_view object) {
    return std::unexpected(spawn_error(spec, step, code, object));
}

bool has_nul(const std::string& text) {
    return std::memchr(text.data(), '\0', text.size()) != nullptr;
}

Outcome prepare_strings(const SpawnSpec& spec, Preparation& into) {
    if (has_nul(spec.path)) return refuse(spec, Step::prepare, EINVAL, "path with a NUL");
    if (has_nul(spec.dir)) return refuse(spec, Step::prepare, EINVAL, "dir with a NUL");
    into.strings.reserve(spec.argv.size() + spec.env.size() + 3);
    // execve(2) takes char*, but writes to none of them.
    const auto add = [&](const std::string& text) { into.strings.push_back(const_cast<char*>(text.c_str())); };
    for (const std::string& text : spec.argv) {
        if (has_nul(text)) return refuse(spec, Step::prepare, EINVAL, "argv with a NUL");
        add(text);
    }
    if (spec.argv.empty()) add(spec.path);
    into.strings.push_back(nullptr);
    const std::size_t env_begin = into.strings.size();
    for (const std::string& text : spec.env) {
        if (has_nul(text)) return refuse(spec, Step::prepare, EINVAL, "env with a NUL");
        add(text);
    }
    into.strings.push_back(nullptr);
    into.plan.path = spec.path.c_str();
    into.plan.argv = into.strings.data();
    into.plan.envp = into.strings.data() + env_begin;
    into.plan.dir = spec.dir.empty() ? nullptr : spec.dir.c_str();
    return {};
}

// setresuid(2) takes -1 for "leave as it is": a child that was to lose its rights would silently keep ours.
Outcome check_credentials(const SpawnSpec& spec) {
    if (!spec.credentials) return {};
    if (spec.credentials->uid == static_cast<uid_t>(-1)) return refuse(spec, Step::uid, EINVAL, "-1");
    if (spec.credentials->gid == static_cast<gid_t>(-1)) return refuse(spec, Step::gid, EINVAL, "-1");
    return {};
}

Outcome collect_moves(const SpawnSpec& spec, Preparation& into) {
    for (int number = 0; number < 3; ++number) {
        int from = spec.stdio[static_cast<std::size_t>(number)];
        if (from < 0) {
            auto null_device = null_device_fd();
            if (!null_device) return refuse(spec, Step::fds, null_device.error().code, "/dev/null");
            from = *null_device;
        }
        into.moves.push_back({from, number});
    }
    for (const auto& [from, to] : spec.extra_fds) {
        const std::string shown = std::to_string(from) + " to " + std::to_string(to);
        if (to < 3) return refuse(spec, Step::prepare, EINVAL, "descriptor " + shown);
        if (from < 0) return refuse(spec, Step::prepare, EBADF, "descriptor " + shown);
        if (std::ranges::find(into.kept, to) != into.kept.end()) {
            return refuse(spec, Step::prepare, EINVAL, "descriptor " + shown + " (given twice)");
        }
        into.moves.push_back({from, to});
        into.kept.push_back(to);
    }
    std::ranges::sort(into.kept);
    return {};
}

// A number that some move overwrites must not be read afterwards, by whichever move: such sources are copied out of
// the way here, where nothing limits the numbers but the caller's own RLIMIT_NOFILE. Then the order is irrelevant.
std::expected<int, int> out_of_the_way(int fd, bool stays_in_place, Preparation& into) {
    const bool overwritten = !stays_in_place && (fd < 3 || std::ranges::binary_search(into.kept, fd));
    if (!overwritten) return fd;
    auto copy = sys::duplicate(fd, std::max(into.kept.empty() ? 0 : into.kept.back(), 2) + 1);
    if (!copy) return std::unexpected(copy.error().code);
    into.staged.push_back(std::move(*copy));
    return into.staged.back().get();
}

Outcome prepare_descriptors(const SpawnSpec& spec, Preparation& into) {
    into.moves.reserve(3 + spec.extra_fds.size());
    if (auto collected = collect_moves(spec, into); !collected) return collected;
    for (FdMove& move : into.moves) {
        const auto from = out_of_the_way(move.from, move.from == move.to, into);
        if (!from) return refuse(spec, Step::fds, from.error(), "descriptor " + std::to_string(move.from));
        move.from = *from;
    }
    into.plan.exec_fd = spec.exec_fd;
    if (spec.exec_fd >= 0) {
        const auto from = out_of_the_way(spec.exec_fd, false, into);
        if (!from) return refuse(spec, Step::fds, from.error(), "descriptor " + std::to_string(spec.exec_fd));
        into.plan.exec_fd = *from;
        into.kept.insert(std::ranges::upper_bound(into.kept, *from), *from);
    }
    int highest = std::max(2, into.plan.exec_fd);
    for (const FdMove& move : into.moves)
        highest = std::max(highest, move.from);
    into.plan.needed_below = static_cast<unsigned>(highest) + 1;
    into.plan.moves = into.moves.data();
    into.plan.move_count = into.moves.size();
    into.plan.kept = into.kept.data();
    into.plan.kept_count = into.kept.size();
    return {};
}

void prepare_attributes(const SpawnSpec& spec, Preparation& into) {
    ChildPlan& plan = into.plan;
    plan.join_cgroup_fd = -1;
    plan.new_session = spec.new_session;
    plan.new_group = spec.new_group && !spec.new_session; // a session leader leads its group already
    plan.nice = spec.nice ? &*spec.nice : nullptr;
    if (spec.oom_score_adjust) {
        char* const begin = into.oom_score.data();
        const auto end = std::to_chars(begin, begin + into.oom_score.size(), *spec.oom_score_adjust).ptr;
        plan.oom_score_text = begin;
        plan.oom_score_length = static_cast<std::size_t>(end - begin);
    }
    plan.limits = spec.limits.data();
    plan.limit_count = spec.limits.size();
    plan.no_new_privileges = spec.no_new_privileges;
    if (spec.credentials) {
        plan.credentials = &*spec.credentials;
        plan.groups = spec.credentials->groups.data();
        plan.group_count = spec.credentials->groups.size();
    }
    plan.parent_death_signal = spec.parent_death_signal;
    plan.parent = spec.parent_death_signal != 0 ? ::getpid() : 0;
    plan.umask = spec.umask ? &*spec.umask : nullptr;
}

} // namespace

Outcome prepare(const SpawnSpec& spec, Preparation& into) {
    if (auto done = prepare_strings(spec, into); !done) return done;
    if (auto done = check_credentials(spec); !done) return done;
    if (auto done = prepare_descriptors(spec, into); !done) return done;
    prepare_attributes(spec, into);
    return {};
}

} // namespace keep::exec
