#include "daemon/host/trees.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <set>
#include <sys/epoll.h>
#include <sys/stat.h>

#include "lib/sys/cgroup.hpp"
#include "lib/sys/pidfd.hpp"
#include "lib/sys/procfs.hpp"

namespace keepd::host {

namespace cgroup = keep::sys::cgroup;

namespace {

constexpr std::string_view name_prefix = "run-";

std::string name_of(core::RunId run) {
    return std::string(name_prefix) + std::to_string(run.value);
}

bool is_member(const keep::sys::ProcessStat& stat, const Run& run) {
    if (stat.pid == run.process.pid() || stat.state == 'Z' || stat.state == 'X') return false;
    if (stat.group == run.process.pid()) return true;
    return run.scope == config::KillMode::tree && stat.session == run.process.pid();
}

// Signals each process of a cgroup, without meeting a stranger: a number read from cgroup.procs may be another's by the
// time it is opened, so only those that the cgroup still lists afterwards are signalled.
void signal_all(const std::string& directory, int signal) {
    const auto listed = cgroup::all_procs(directory);
    if (!listed) return;
    std::vector<std::pair<pid_t, keep::sys::Fd>> held;
    for (const pid_t pid : *listed)
        if (auto fd = keep::sys::pidfd_open(pid)) held.emplace_back(pid, std::move(*fd));
    const auto still = cgroup::all_procs(directory);
    if (!still) return;
    for (const auto& [pid, fd] : held)
        if (std::ranges::find(*still, pid) != still->end()) (void)keep::sys::pidfd_send_signal(fd.get(), signal);
}

std::string for_people(pid_t pid) {
    const auto stat = keep::sys::process_stat(pid);
    return "pid " + std::to_string(pid) + (stat ? " (" + stat->comm + ")" : "");
}

} // namespace

Trees Trees::detect(std::string& why_not) {
    const auto own = cgroup::find_own();
    if (!own) {
        why_not = own.error().message;
        return Trees();
    }
    if (const auto ours = cgroup::check_our_own(*own); !ours) {
        why_not = ours.error().message;
        return Trees();
    }
    Trees trees(*own);
    (void)trees.clear_away(); // runs of an earlier keepd that nobody claims any more
    return trees;
}

keep::Result<> Trees::sweep() {
    constexpr std::string_view control = "/.control"; // where systemd puts the helpers of a delegated unit
    auto own = cgroup::find_own();
    if (!own) return std::unexpected(own.error());
    if (own->ends_with(control)) own->resize(own->size() - control.size());
    return Trees(*own).clear_away();
}

keep::Result<> Trees::clear_away() const {
    if (root_.empty()) return {};
    const auto left = cgroup::children(root_);
    if (!left) return std::unexpected(left.error());
    keep::Result<> done;
    for (const auto& name : *left) {
        if (!name.starts_with(name_prefix)) continue;
        const std::string directory = root_ + "/" + name;
        auto gone = cgroup::kill(directory);
        if (gone) gone = cgroup::await_empty(directory, std::chrono::seconds(2));
        if (gone) gone = cgroup::remove(directory);
        if (!gone) done = gone;
    }
    return done;
}

Trees Trees::adopt(const std::string& former, std::string& why_not) {
    if (former.empty()) {
        why_not = "the keepd before had none";
        return Trees();
    }
    const auto own = cgroup::find_own();
    if (own && *own == former) return Trees(former);
    why_not = own ? "it is another one than before" : own.error().message;
    return Trees();
}

std::string Trees::cgroup_of(core::RunId run) const {
    if (root_.empty()) return {};
    std::string path = root_ + "/" + name_of(run);
    return cgroup::populated(path) ? path : std::string();
}

std::optional<keep::exec::Process> Trees::find_leader(core::RunId run, const keep::sys::FdIdentity& not_yet) const {
    const std::string path = cgroup_of(run);
    if (path.empty()) return std::nullopt;
    if (const auto listed = cgroup::all_procs(path))
        for (const pid_t pid : *listed) {
            auto fd = keep::sys::pidfd_open(pid);
            const auto stat = keep::sys::process_stat(pid);
            const auto still = cgroup::all_procs(path);
            if (!fd || !stat || !still || std::ranges::find(*still, pid) == still->end()) continue;
            struct stat image{};
            if (stat->session != pid || ::stat(("/proc/" + std::to_string(pid) + "/exe").c_str(), &image) != 0)
                continue;
            if (image.st_dev == not_yet.device && image.st_ino == not_yet.inode) continue;
            return keep::exec::Process(pid, std::move(*fd));
        }
    (void)cgroup::kill(path);
    (void)cgroup::await_empty(path, std::chrono::seconds(2));
    (void)cgroup::remove(path);
    return std::nullopt;
}

void Trees::find_lingering(const Runs& runs) {
    if (root_.empty()) return;
    std::set<std::string> live;
    runs.each([&](const Run& run) { live.insert(run.cgroup); });
    if (const auto names = cgroup::children(root_))
        for (const auto& name : *names)
            if (name.starts_with(name_prefix) && !live.contains(root_ + "/" + name))
                lingering_.push_back(root_ + "/" + name);
}

keep::Result<Trees::Birthplace> Trees::prepare(core::RunId run) {
    if (root_.empty()) return Birthplace{};
    auto fd = cgroup::create_child(root_, name_of(run));
    if (!fd) return std::unexpected(fd.error());
    return Birthplace{root_ + "/" + name_of(run), std::move(*fd)};
}

void Trees::abandon(const std::string& path) {
    if (!path.empty()) (void)cgroup::remove(path);
}

void Trees::signal(Run& run, int signal, config::KillMode scope) {
    if (scope == config::KillMode::tree && !run.cgroup.empty()) {
        if (signal == SIGKILL)
            (void)cgroup::kill(run.cgroup);
        else
            signal_all(run.cgroup, signal);
        return;
    }
    if (scope == config::KillMode::process) {
        if (!run.reaped) (void)run.process.signal(signal);
        return;
    }
    // The leader's number is the group's for certain only while the leader is not reaped.
    if (scope == config::KillMode::tree && !run.reaped) take_members(run);
    if (run.foster && !run.reaped) {
        // Its new parent may reap it at any time, so its number alone proves nothing.
        if (run.process.signal(0)) (void)run.process.signal_group(signal);
    } else if (!run.reaped) {
        (void)::kill(-run.process.pid(), signal);
    }
    for (const auto& member : run.members)
        (void)member.process.signal(signal);
}

// Holds the descendants that have left the process group: the group's signals do not reach them.
void Trees::take_members(Run& run) {
    const auto below = keep::sys::descendants_of(run.process.pid());
    if (!below) return;
    for (const pid_t pid : *below) {
        const auto stat = keep::sys::process_stat(pid);
        if (!stat || stat->group == run.process.pid()) continue;
        const bool held = std::ranges::any_of(run.members, [&](const Member& m) { return m.process.pid() == pid; });
        if (held) continue;
        if (auto fd = keep::sys::pidfd_open(pid)) run.members.push_back({keep::exec::Process(pid, std::move(*fd)), {}});
    }
}

bool Trees::empty_after_exit(Run& run) {
    if (run.scope == config::KillMode::process) return true;
    if (run.scope == config::KillMode::tree && !run.cgroup.empty()) {
        const auto populated = cgroup::populated(run.cgroup);
        return !populated || !*populated;
    }
    if (run.cgroup.empty() || run.scope == config::KillMode::group) {
        // With a cgroup the zombie still pins the group's number; without, it was free for an instant: only what also
        // belongs to the session is believed (see is_member and members_left).
        if (run.reaped && run.members.empty() && ::kill(-run.process.pid(), 0) != 0 && errno == ESRCH) return true;
    }
    return !members_left(run);
}

// Looks at every process once: those of the run's group or session are held from here on.
bool Trees::members_left(Run& run) {
    std::erase_if(run.members, [](const Member& member) {
        const auto stat = keep::sys::process_stat(member.process.pid());
        return !member.process.signal(0) || !stat || stat->state == 'Z' || stat->state == 'X';
    });
    // A number is given to nobody while a session or a group is called by it: once another process has the main one's,
    // none of them was left, and those that there are now are that stranger's.
    // (A zombie may be the main one itself, which after a crash of keepd is somebody else's to reap.)
    const auto number_is_anothers = [&] {
        if (!run.reaped) return false;
        const auto stat = keep::sys::process_stat(run.process.pid());
        return stat && stat->state != 'Z' && stat->state != 'X';
    };
    const auto all = keep::sys::all_processes();
    if (!all || number_is_anothers()) return !run.members.empty();
    const std::size_t known = run.members.size();
    for (const pid_t pid : *all) {
        const bool held = std::ranges::any_of(run.members, [&](const Member& m) { return m.process.pid() == pid; });
        if (held) continue;
        const auto before = keep::sys::process_stat(pid);
        if (!before || !is_member(*before, run) || before->session != run.process.pid()) continue;
        auto fd = keep::sys::pidfd_open(pid);
        const auto after = keep::sys::process_stat(pid);
        if (fd && after && after->start_ticks == before->start_ticks)
            run.members.push_back({keep::exec::Process(pid, std::move(*fd)), {}});
    }
    if (number_is_anothers()) run.members.resize(known); // since when is not known
    return !run.members.empty();
}

keep::Result<> Trees::watch_leftovers(systemd::Loop& loop, Run& run, std::function<void()> on_empty) {
    if (run.scope == config::KillMode::tree && !run.cgroup.empty()) {
        auto events = cgroup::open_events(run.cgroup);
        if (!events) return std::unexpected(events.error());
        run.events = std::move(*events);
        // The first look comes with the first wake-up: cgroup.events is "changed" for a new descriptor until it was
        // read.
        auto source = loop.watch(run.events.get(), EPOLLPRI, [&run, on_empty](std::uint32_t) {
            const auto populated = cgroup::populated_of(run.events.get());
            if (populated && *populated) return;
            run.emptied.reset();
            on_empty();
        });
        if (!source) return std::unexpected(source.error());
        run.emptied = std::move(*source);
        return {};
    }
    for (auto& member : run.members) {
        if (member.gone) continue;
        auto source = loop.watch(member.process.pidfd(), EPOLLIN, [this, &loop, &run, on_empty](std::uint32_t) {
            if (!members_left(run)) return on_empty();
            (void)watch_leftovers(loop, run, on_empty); // those that were found just now
        });
        if (!source) return std::unexpected(source.error());
        member.gone = std::move(*source);
    }
    return {};
}

std::vector<std::string> Trees::survivors(const Run& run) const {
    std::vector<std::string> names;
    if (run.scope == config::KillMode::tree && !run.cgroup.empty()) {
        if (const auto pids = cgroup::all_procs(run.cgroup))
            for (const pid_t pid : *pids)
                names.push_back(for_people(pid));
        return names;
    }
    if (!run.reaped) names.push_back(for_people(run.process.pid()));
    for (const auto& member : run.members)
        names.push_back(for_people(member.process.pid()));
    return names;
}

void Trees::retire(Run& run) {
    run.emptied.reset();
    run.events.reset();
    if (run.cgroup.empty()) return;
    // kill_mode `process` or `group` may leave others in it; they are the operator's wish and keep their cgroup, which
    // goes when they have gone. A few are looked at for each that comes: the list can't outgrow what is there.
    constexpr std::size_t looks = 8;
    if (!cgroup::remove(run.cgroup)) lingering_.push_back(run.cgroup);
    for (std::size_t look = 0, count = std::min(looks, lingering_.size()); look < count; ++look) {
        std::string oldest = std::move(lingering_.front());
        lingering_.pop_front();
        if (!cgroup::remove(oldest)) lingering_.push_back(std::move(oldest));
    }
}

} // namespace keepd::host
