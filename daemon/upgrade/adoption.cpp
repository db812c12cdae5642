#include "daemon/upgrade/adoption.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/checkpoint/checkpoint.hpp"
#include "daemon/checkpoint/codec.hpp"
#include "daemon/checkpoint/live.hpp"
#include "daemon/checkpoint/manifest_core.hpp"
#include "daemon/upgrade/adoption_manifest.hpp"
#include "lib/sys/memfd.hpp"

namespace keepd::upgrade {

namespace {

constexpr std::string_view run_prefix = "run/";

// The last of a name: the store keeps what it was given first in front.
keep::sys::Fd take(std::vector<systemd::Stored>& stored, std::string_view name) {
    keep::sys::Fd taken;
    for (auto& one : stored)
        if (one.name == name && one.fd) taken = std::move(one.fd);
    return taken;
}

std::optional<Vaults> take_vaults(std::vector<systemd::Stored>& stored, const checkpoint::RecordViews& records) {
    std::array<keep::sys::Fd, 4> ends;
    for (std::size_t i = 0; i < ends.size(); ++i) {
        ends[i] = take(stored, stored_vaults[i]);
        if (!ends[i]) return std::nullopt;
    }
    const auto active = records.find(vault_key);
    return Vaults::adopt(std::move(ends), active != records.end() && active->second == "1" ? 1 : 0);
}

// Ours alone, and a regular file: else somebody else put it there.
keep::sys::Fd open_file(const std::string& path) {
    if (path.empty()) return {};
    auto fd = keep::sys::open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
    struct stat about{};
    if (!fd || fstat(fd->get(), &about) != 0 || !S_ISREG(about.st_mode) || about.st_uid != geteuid() ||
        (about.st_mode & 077) != 0)
        return {};
    return std::move(*fd);
}

} // namespace

std::string run_key(core::RunId run) {
    return std::string(run_prefix) + std::to_string(run.value);
}

std::string encode(const HostRecord& record) {
    return checkpoint::save(record);
}

std::string encode(const RunIdentity& identity) {
    return checkpoint::save(identity);
}

std::string boot_id() {
    auto id = keep::sys::read_file("/proc/sys/kernel/random/boot_id", 64);
    if (!id) return {};
    while (id->ends_with('\n'))
        id->pop_back();
    return std::move(*id);
}

keep::Result<std::optional<Legacy>> find_legacy(std::vector<systemd::Stored> stored, const std::string& file) {
    Legacy legacy;
    legacy.live = take(stored, stored_checkpoint);
    legacy.by_store = bool(legacy.live);
    if (!legacy.live) legacy.live = open_file(file);
    if (!legacy.live) return std::optional<Legacy>{};
    const auto size = keep::sys::size_of(legacy.live.get());
    if (size && *size == 0) return std::optional<Legacy>{}; // its keepd had not begun
    const auto mapping = keep::sys::Mapping::of(legacy.live.get(), keep::sys::Access::read_only);
    if (!mapping) return keep::fail_in("checkpoint", mapping.error());
    const auto loaded = checkpoint::view(mapping->text());
    if (!loaded) return std::unexpected(loaded.error());

    const auto& records = loaded->records;
    const auto host = records.find(host_key);
    if (host == records.end()) return std::optional<Legacy>{};
    auto host_record = checkpoint::restore<HostRecord>(host->second);
    if (!host_record) return keep::fail_in(host_key, host_record.error());
    legacy.host = std::move(*host_record);
    if (legacy.host.boot_id != boot_id()) return std::optional<Legacy>{};
    legacy.vaults = take_vaults(stored, records);
    for (const auto& [key, bytes] : records) {
        std::uint64_t id = 0;
        if (!key.starts_with(run_prefix)) continue;
        std::from_chars(key.data() + run_prefix.size(), key.data() + key.size(), id);
        if (auto identity = checkpoint::restore<RunIdentity>(bytes)) legacy.runs[core::RunId{id}] = *identity;
    }
    auto state = checkpoint::decode(records, legacy.unknown);
    if (!state) return std::unexpected(state.error());
    legacy.state = std::move(*state);
    if (std::holds_alternative<core::Over>(legacy.state.daemon.stage)) return std::optional<Legacy>{};
    if (legacy.vaults) {
        auto found = legacy.vaults->look();
        if (!found) return keep::fail_in("vault", found.error());
        legacy.found = std::move(*found);
    }
    return std::optional<Legacy>(std::move(legacy));
}

} // namespace keepd::upgrade
