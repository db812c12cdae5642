// What the control server asks of the host.
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <unistd.h>

#include "daemon/host/host.hpp"
#include "daemon/host/upgrader.hpp"
#include "daemon/version.hpp"
#include "lib/sys/clock.hpp"
#include "lib/sys/fd.hpp"

namespace keepd::host {

core::Now Host::now() const {
    return {keep::sys::monotonic_now(), keep::sys::wall_now()};
}

control::Identity Host::identity() const {
    static const std::string build_id = own_build_id();
    return {version(), build_id, getpid()};
}

namespace {

std::expected<core::PlanDiff, std::vector<std::string>>
compared(const core::State& state, const std::expected<config::Plan, std::vector<config::Fault>>& reading) {
    if (reading) return core::diff(state, *reading);
    std::vector<std::string> faults;
    for (const auto& fault : reading.error())
        faults.push_back(config::to_text(fault));
    return std::unexpected(std::move(faults));
}

} // namespace

std::expected<core::PlanDiff, std::vector<std::string>> Host::plan() {
    return compared(state_, load_plan());
}

std::expected<core::PlanDiff, std::vector<std::string>> Host::prepare_reload() {
    prepared_ = load_plan();
    return compared(state_, *prepared_);
}

keep::Result<> Host::begin_upgrade(const control::UpgradeRequest& request) {
    return upgrader_->begin(request);
}

void Host::reopen_logs() {
    pump_->reopen();
    log_.reopen();
    log_.info("log files reopened");
}

std::map<std::string, logs::StreamStatus> Host::log_status() const {
    return pump_->status();
}

std::optional<control::Usage> Host::usage(int pid) const {
    const auto text = keep::sys::read_file("/proc/" + std::to_string(pid) + "/stat", 4096);
    if (!text) return std::nullopt;
    // The name may hold anything, so the fields are counted from its last parenthesis; proc(5): utime and stime are
    // fields 14 and 15, rss is field 24.
    const auto name_end = text->rfind(')');
    unsigned long user = 0, system = 0;
    long pages = 0;
    if (name_end == std::string::npos ||
        std::sscanf(text->c_str() + name_end + 1,
                    " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %*d %*d %*u %*u %ld", &user,
                    &system, &pages) != 3)
        return std::nullopt;
    control::Usage usage;
    usage.memory_bytes = static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
    usage.cpu_s = static_cast<double>(user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
    return usage;
}

std::string Host::checkpoint_json() const {
    return checkpoint::to_json(checkpoint::encode(state_));
}

} // namespace keepd::host
