#include "daemon/host/heritage.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <sched.h>
#include <string_view>
#include <sys/resource.h>
#include <unistd.h>
#include <utility>

#include "lib/sys/cgroup.hpp"
#include "lib/sys/fd.hpp"
#include "lib/sys/process.hpp"

namespace keepd::host {

namespace {

constexpr auto look_every = std::chrono::milliseconds(100);

constexpr std::array<std::pair<const char*, int>, 16> resources{{
    {"as", RLIMIT_AS},
    {"core", RLIMIT_CORE},
    {"cpu", RLIMIT_CPU},
    {"data", RLIMIT_DATA},
    {"fsize", RLIMIT_FSIZE},
    {"locks", RLIMIT_LOCKS},
    {"memlock", RLIMIT_MEMLOCK},
    {"msgqueue", RLIMIT_MSGQUEUE},
    {"nice", RLIMIT_NICE},
    {"nofile", RLIMIT_NOFILE},
    {"nproc", RLIMIT_NPROC},
    {"rss", RLIMIT_RSS},
    {"rtprio", RLIMIT_RTPRIO},
    {"rttime", RLIMIT_RTTIME},
    {"sigpending", RLIMIT_SIGPENDING},
    {"stack", RLIMIT_STACK},
}};

int resource_of(std::string_view name) {
    for (const auto& [known, resource] : resources)
        if (name == known) return resource;
    return -1;
}

constexpr std::uint64_t infinity = config::Limit::infinity;

config::Limit from_kernel(const rlimit& limit) {
    const auto value = [](rlim_t one) { return one == RLIM_INFINITY ? infinity : std::uint64_t{one}; };
    return {value(limit.rlim_cur), value(limit.rlim_max)};
}

rlimit for_kernel(const config::Limit& limit) {
    const auto value = [](std::uint64_t one) { return one == infinity ? RLIM_INFINITY : rlim_t{one}; };
    return {value(limit.soft), value(limit.hard)};
}

// The CPUs that this process may run on; nothing on a machine of more CPUs than a set holds.
std::vector<int> allowed_cpus() {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return {};
    std::vector<int> numbers;
    for (int cpu = 0, left = CPU_COUNT(&set); left > 0; ++cpu) {
        if (!CPU_ISSET(static_cast<std::size_t>(cpu), &set)) continue;
        numbers.push_back(cpu);
        --left;
    }
    return numbers;
}

// "0-3,8": cpuset.cpus.effective. Nothing for text of another form.
std::vector<int> parse_cpus(std::string_view text) {
    std::vector<int> numbers;
    const char* at = text.data();
    const char* const end = at + text.size();
    while (at != end && *at != '\n') {
        int first = 0, last = 0;
        auto read = std::from_chars(at, end, first);
        if (read.ec != std::errc{}) return {};
        last = first;
        if (read.ptr != end && *read.ptr == '-') read = std::from_chars(read.ptr + 1, end, last);
        if (read.ec != std::errc{} || last < first || last >= CPU_SETSIZE) return {};
        for (int cpu = first; cpu <= last; ++cpu)
            numbers.push_back(cpu);
        at = read.ptr != end && *read.ptr == ',' ? read.ptr + 1 : read.ptr;
    }
    return numbers;
}

// The CPUs of the nearest control group that has the controller.
std::vector<int> cpus_of_control_group() {
    const auto own = keep::sys::cgroup::find_own();
    for (std::string directory = own ? *own : ""; !directory.empty(); directory.resize(directory.rfind('/')))
        if (const auto text = keep::sys::read_file(directory + "/cpuset.cpus.effective")) return parse_cpus(*text);
    return {};
}

// Empty where nothing but the machine or the control group bounds them: that may change while keepd runs, and programs
// are to follow.
std::vector<int> restriction(const std::vector<int>& allowed) {
    const bool none =
        std::cmp_equal(allowed.size(), sysconf(_SC_NPROCESSORS_ONLN)) || allowed == cpus_of_control_group();
    return none ? std::vector<int>{} : allowed;
}

std::vector<int> all_cpus() {
    std::vector<int> all;
    for (int cpu = 0; cpu < std::min<long>(sysconf(_SC_NPROCESSORS_CONF), CPU_SETSIZE); ++cpu)
        all.push_back(cpu);
    return all;
}

Attributes all_but_cpus() {
    Attributes own;
    for (const auto& [name, resource] : resources)
        if (const auto limit = keep::sys::get_limit(resource)) own.limits.emplace(name, from_kernel(*limit));
    if (const auto nice = keep::sys::nice_value()) own.nice = *nice;
    if (const auto adjust = keep::sys::oom_score_adjust()) own.oom_score_adjust = *adjust;
    return own;
}

} // namespace

Attributes own_attributes() {
    Attributes own = all_but_cpus();
    own.cpus = restriction(allowed_cpus());
    return own;
}

Origins find_origins() {
    Origins origins;
    for (char** variable = environ; *variable != nullptr; ++variable)
        origins.environment.emplace_back(*variable);
    origins.attributes = own_attributes();
    return origins;
}

void Heritage::look() {
    Attributes own = all_but_cpus();
    if (auto allowed = allowed_cpus(); allowed != allowed_) {
        restriction_ = restriction(allowed);
        allowed_ = std::move(allowed);
    }
    own.cpus = restriction_;
    const Attributes& original = origins_.attributes;
    lacking_ = {};
    for (const auto& [name, limit] : original.limits)
        if (const auto now = own.limits.find(name); now != own.limits.end() && now->second != limit)
            lacking_.limits.emplace(name, limit);
    if (own.nice != original.nice) lacking_.nice = original.nice;
    if (own.oom_score_adjust != original.oom_score_adjust) lacking_.oom_score_adjust = original.oom_score_adjust;
    if (own.cpus != original.cpus) lacking_.cpus = original.cpus.empty() ? all_cpus() : original.cpus;
}

void Heritage::give(const config::Program& program, keep::exec::SysProcAttr& into, keep::Time now) {
    if (!looked_ || now - looked_at_ >= look_every) {
        look();
        looked_ = true;
        looked_at_ = now;
    }
    for (const auto& [name, limit] : program.limits)
        into.limits.push_back({resource_of(name), for_kernel(limit)});
    for (const auto& [name, limit] : lacking_.limits)
        if (!program.limits.contains(name)) into.limits.push_back({resource_of(name), for_kernel(limit)});
    into.nice = program.nice ? program.nice : lacking_.nice;
    into.oom_score_adjust = program.oom_score_adjust ? program.oom_score_adjust : lacking_.oom_score_adjust;
    into.cpu_affinity = lacking_.cpus;
}

// A keepd without privileges can't raise what was lowered; one whose control group lost the original CPUs can't have
// them. No program stays down for that.
bool Heritage::do_without(const config::Program& program, const keep::exec::Error& error,
                          keep::exec::SysProcAttr& from) {
    using keep::exec::Step;
    const auto lost = [this](std::string_view what) {
        losses_.emplace(what);
        return true;
    };
    const Step step = error.step();
    if (step == Step::nice && from.nice && !program.nice) return from.nice.reset(), lost("nice value");
    if (step == Step::oom_score_adjust && from.oom_score_adjust && !program.oom_score_adjust)
        return from.oom_score_adjust.reset(), lost("OOM score adjustment");
    if (step == Step::cpu_affinity && !from.cpu_affinity.empty())
        return from.cpu_affinity.clear(), lost("CPU affinity");
    if (step != Step::rlimit) return false;
    const std::string name(error.object());
    const auto ours = [&](const keep::exec::Limit& limit) {
        return limit.resource == resource_of(name) && !program.limits.contains(name);
    };
    const auto limit = std::ranges::find_if(from.limits, ours);
    if (limit == from.limits.end()) return false;
    // As much of it as there is left.
    const auto own = keep::sys::get_limit(limit->resource);
    const rlimit less = own ? rlimit{std::min(limit->value.rlim_cur, own->rlim_max), own->rlim_max} : limit->value;
    if (keep::exec::Limit{limit->resource, less} == *limit)
        from.limits.erase(limit);
    else
        limit->value = less;
    return lost("limit " + name);
}

std::vector<std::string> Heritage::take_losses() {
    std::vector<std::string> fresh;
    for (const auto& what : std::exchange(losses_, {}))
        if (lost_.insert(what).second) fresh.push_back(what);
    return fresh;
}

} // namespace keepd::host
