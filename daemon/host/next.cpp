#include "daemon/host/next.hpp"

#include <cstdlib>
#include <sstream>
#include <string>

#include "lib/sys/fd.hpp"
#include "lib/sys/memfd.hpp"

namespace keepd::host {

namespace {

// Of this process alone, which is all that a test build needs.
struct Kept {
    std::string remark;
    keep::sys::Fd spare;
};
Kept& kept() {
    static Kept one;
    return one;
}

std::string content(int fd) {
    const auto mapping = keep::sys::Mapping::of(fd, keep::sys::Access::read_only);
    return mapping ? std::string(mapping->text()) : mapping.error().message;
}

void set(core::State& state, const std::string& line) {
    std::istringstream words(line);
    std::string whose, field, value;
    words >> whose >> field >> std::ws;
    std::getline(words, value);
    if (field == "motto") state.daemon.motto = value;
    const auto program = state.programs.find(whose);
    if (program == state.programs.end()) return;
    if (field == "note") program->second.note = value;
    if (field == "weight") program->second.weight = static_cast<std::uint32_t>(std::stoul(value));
}

} // namespace

void use_next_fields(upgrade::Resumed& resumed, Log& log) {
    core::State& state = resumed.state;
    upgrade::Handoff& handoff = resumed.handoff;
    log.info("next: found keepd motto '" + state.daemon.motto + "'");
    for (const auto& [name, program] : state.programs)
        log.info("next: found " + name + " note '" + program.note + "' weight " + std::to_string(program.weight));
    log.info("next: found handoff remark '" + handoff.remark + "' spare '" +
             (handoff.spare_fd >= 0 ? content(handoff.spare_fd) : "") + "' of format " +
             std::to_string(resumed.from.major) + "." + std::to_string(resumed.from.minor));
    kept() = {handoff.remark, keep::sys::Fd::adopt(handoff.spare_fd)};

    const char* path = std::getenv("KEEPD_NEXT");
    if (path == nullptr) return;
    const auto file = keep::sys::read_file(path);
    if (!file) return;
    std::istringstream lines(*file);
    for (std::string line; std::getline(lines, line);)
        set(state, line);
}

void add_next_fields(upgrade::Handoff& handoff) {
    Kept& mine = kept();
    if (!mine.spare) {
        mine.remark = "of generation one";
        if (auto spare = keep::sys::create_memfd("keepd-next-spare")) mine.spare = std::move(*spare);
        (void)keep::sys::write_all(mine.spare.get(), "spare since generation one");
    }
    handoff.remark = mine.remark;
    handoff.spare_fd = mine.spare.get();
}

} // namespace keepd::host
