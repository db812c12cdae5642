#include "daemon/upgrade/state_file.hpp"

#include <cstdio>
#include <sys/auxv.h>

#include "daemon/checkpoint/codec.hpp"
#include "daemon/checkpoint/manifest_notice.hpp"
#include "daemon/control/manifest.hpp"
#include "daemon/logs/manifest.hpp"
#include "daemon/upgrade/manifest.hpp"
#include "daemon/upgrade/rehearsal.hpp"
#include "daemon/version.hpp"
#include "lib/sys/memfd.hpp"

namespace keepd::upgrade {

checkpoint::Records encode(const Handoff& handoff, const checkpoint::Unknown& unknown) {
    return {{handoff_key, checkpoint::save(handoff, unknown.of(handoff_key))}};
}

keep::Result<Resumed> read_state(int fd) {
    // Not copied first: with a thousand programs that is a tenth of an upgrade's gap.
    const auto mapping = keep::sys::Mapping::of(fd, keep::sys::Access::read_only);
    if (!mapping) return keep::fail_in("checkpoint", mapping.error());
    auto loaded = checkpoint::view(mapping->text());
    if (!loaded) return std::unexpected(loaded.error());
    const auto record = loaded->records.find(handoff_key);
    if (record == loaded->records.end()) return keep::fail("the state holds no handoff");
    checkpoint::Unknown unknown;
    checkpoint::Kept kept;
    auto handoff = checkpoint::restore<Handoff>(record->second, &kept);
    if (!handoff) return keep::fail_in(handoff_key, handoff.error());
    if (!kept.empty()) unknown.records.emplace(handoff_key, std::move(kept));
    loaded->records.erase(record);
    auto state = checkpoint::decode(loaded->records, unknown);
    if (!state) return std::unexpected(state.error());
    return Resumed{loaded->header, std::move(*state), std::move(unknown), std::move(*handoff), {}};
}

std::vector<std::string> carry_along(Resumed& resumed) {
    std::vector<std::string> ended;
    auto unclaimed = take_unclaimed(resumed.handoff);
    const auto kept = resumed.unknown.records.find(handoff_key);
    if (kept == resumed.unknown.records.end()) return ended;
    resumed.unclaimed = std::move(unclaimed);
    std::erase_if(kept->second, [&](const auto& entry) {
        if (entry.second.only_with) ended.push_back(entry.first);
        return entry.second.only_with.has_value();
    });
    if (kept->second.empty()) resumed.unknown.forget(handoff_key);
    return ended;
}

std::string digest(const core::State& state, const checkpoint::Unknown& unknown, const Handoff& handoff) {
    auto records = checkpoint::encode(state, unknown);
    records.merge(encode(handoff, unknown));
    return checkpoint::digest(records);
}

int rehearse(int state_fd) {
    // By this file's privileges or by a policy of the kernel's the exec has changed what the process may do: keepd's
    // own would, too. (The candidate's mode and attributes were looked at before; this is what came of them.)
    if (getauxval(AT_SECURE) != 0) {
        std::fprintf(stderr, "it would run with other privileges than keepd\n");
        return 1;
    }
    const auto resumed = read_state(state_fd);
    if (!resumed) {
        std::fprintf(stderr, "keepd %s can't take this state over: %s\n", version(), resumed.error().message.c_str());
        return 1;
    }
    const Answer answer{version(), own_build_id(), KEEPD_FORMAT,
                        digest(resumed->state, resumed->unknown, resumed->handoff), resumed->state.programs.size()};
    const std::string text = to_text(answer);
    return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0 ? 0 : 1;
}

} // namespace keepd::upgrade
