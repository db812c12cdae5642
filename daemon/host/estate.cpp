#include "daemon/host/estate.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <span>
#include <unistd.h>

#include "lib/sys/pidfd.hpp"
#include "lib/sys/procfs.hpp"
#include "systemd/descriptor_store.hpp"

namespace keepd::host {

namespace {

// So many single messages are worth a compaction: a quarter of what lives, so that its cost is shared by as many
// starts, within bounds, because who reads single messages passes over the first ones again for each.
constexpr std::size_t fewest_singles = 512;
constexpr std::size_t most_singles = 2048;

// A new one, that replaces an older one's name.
keep::Result<keep::sys::Fd> new_file(const std::string& path) {
    const std::string fresh = path + ".new";
    (void)::unlink(fresh.c_str());
    auto fd = keep::sys::open(fresh, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (!fd) return fd;
    if (std::rename(fresh.c_str(), path.c_str()) != 0) return keep::fail_errno("rename", fresh, errno);
    return fd;
}

} // namespace

std::string checkpoint_file(const std::string& runtime_dir) {
    return runtime_dir + "/checkpoint";
}

std::string ending_mark(const std::string& runtime_dir) {
    return runtime_dir + "/ending";
}

std::string stop_mark(const std::string& runtime_dir) {
    return runtime_dir + "/stopped";
}

keep::Result<> Estate::begin(const checkpoint::Header& header, const std::string& runtime_dir) {
    (void)::unlink(ending_mark(runtime_dir).c_str());
    (void)::unlink(stop_mark(runtime_dir).c_str());
    store_is_sure_ = systemd::store() == systemd::Store::yes;
    keep::sys::Fd backing;
    if (store_is_sure_) {
        (void)::unlink(checkpoint_file(runtime_dir).c_str());
    } else if (auto file = new_file(checkpoint_file(runtime_dir)); file) {
        backing = std::move(*file);
        file_ = checkpoint_file(runtime_dir);
    } else {
        log_.warning("a crash of keepd could not be survived: " + file.error().message);
    }
    auto live = checkpoint::Live::create(header, std::move(backing));
    if (!live) return std::unexpected(live.error());
    live_ = std::move(*live);
    if (systemd::store() != systemd::Store::no) open_store(false);
    return {};
}

// What an earlier keepd left under these names goes first. `has_checkpoint`: ours is there already.
void Estate::open_store(bool has_checkpoint) {
    if (!has_checkpoint) systemd::forget_stored(upgrade::stored_checkpoint);
    for (const char* name : upgrade::stored_vaults)
        systemd::forget_stored(name);
    const auto store = [&](const char* name, int fd) {
        report(systemd::store_descriptors(name, std::span(&fd, 1)), "store a descriptor");
    };
    auto vaults = upgrade::Vaults::create();
    if (!vaults) return report(std::unexpected(vaults.error()), "vaults");
    vaults_ = std::move(*vaults);
    report(live_->put(upgrade::vault_key, "0"), "checkpoint");
    // The checkpoint last: whoever finds it finds the vaults.
    const auto ends = vaults_->descriptors();
    for (std::size_t i = 0; i < ends.size(); ++i)
        store(upgrade::stored_vaults[i], ends[i]);
    if (!has_checkpoint) store(upgrade::stored_checkpoint, live_->fd());
}

keep::Result<> Estate::resume(const upgrade::Handoff& handoff, const checkpoint::Header& header) {
    store_is_sure_ = systemd::store() == systemd::Store::yes;
    if (!store_is_sure_) file_ = handoff.live_file;
    if (handoff.vaults.size() == 4) {
        std::array<keep::sys::Fd, 4> ends;
        for (std::size_t i = 0; i < ends.size(); ++i)
            ends[i] = keep::sys::Fd::adopt(handoff.vaults[i]);
        vaults_ = upgrade::Vaults::adopt(std::move(ends), handoff.vault);
    }
    auto carried = keep::sys::Fd::adopt(handoff.live);
    auto live = carried ? checkpoint::Live::attach(std::move(carried)) : checkpoint::Live::create(header);
    (void)carried.release(); // empty, or wanted by the image that goes on where this one fails
    if (!live) return std::unexpected(live.error());
    live_ = std::move(*live);
    return {};
}

keep::Result<> Estate::take_over(upgrade::Legacy& legacy, const std::string& runtime_dir) {
    store_is_sure_ = systemd::store() == systemd::Store::yes;
    (void)::unlink(ending_mark(runtime_dir).c_str());
    (void)::unlink(stop_mark(runtime_dir).c_str());
    if (!legacy.by_store) file_ = checkpoint_file(runtime_dir);
    auto live = checkpoint::Live::attach(std::move(legacy.live));
    if (!live) return std::unexpected(live.error());
    live_ = std::move(*live);
    vaults_ = std::move(legacy.vaults);
    stale_ = vaults_.has_value(); // what ended in between is in there still
    if (!vaults_ && systemd::store() != systemd::Store::no) open_store(legacy.by_store);
    return {};
}

void Estate::save_host(const upgrade::HostRecord& record) {
    report(live_->put(upgrade::host_key, upgrade::encode(record)), "checkpoint");
}

void Estate::travel(upgrade::Handoff& handoff) const {
    handoff.live = live_->fd();
    handoff.live_file = file_;
    if (!vaults_) return;
    const auto ends = vaults_->descriptors();
    handoff.vaults.assign(ends.begin(), ends.end());
    handoff.vault = vaults_->active();
}

void Estate::note_identity(const Run& run) {
    if (!needs_identity(run)) return;
    const auto stat = keep::sys::process_stat(run.process.pid());
    if (!stat) return; // gone already: the exit is next
    const upgrade::RunIdentity identity{stat->pid, stat->start_ticks, keep::sys::process_inode(run.process.pidfd())};
    report(live_->put(upgrade::run_key(run.id), upgrade::encode(identity)), "checkpoint");
}

void Estate::forget_identity(core::RunId run) {
    report(live_->erase(upgrade::run_key(run)), "checkpoint");
}

void Estate::park(const upgrade::Item& item) {
    if (!vaults_) return;
    auto parked = vaults_->park(item);
    if (!parked && (parked.error().code == EAGAIN || parked.error().code == ENOBUFS)) {
        stale_ = true;
        tidy(); // with `item`, which is among the living by now or comes behind them
        parked = vaults_->park(item);
    }
    ++parked_;
    report(parked, "what a crash of keepd would lose grows: vault");
}

void Estate::tidy() {
    if (!vaults_ || (!stale_ && parked_ < enough_)) return;
    const auto living = living_();
    stale_ = false;
    parked_ = 0;
    enough_ = std::clamp(living.size() / 4, fewest_singles, most_singles);
    if (const auto filled = vaults_->fill_other(living); !filled) return report(filled, "vault");
    const auto counts = live_->put(upgrade::vault_key, vaults_->active() == 0 ? "1" : "0");
    if (!counts) return report(counts, "checkpoint");
    vaults_->switch_over();
}

void Estate::begin_end(const std::string& runtime_dir) {
    const auto mark = keep::sys::open(ending_mark(runtime_dir), O_WRONLY | O_CREAT | O_NOFOLLOW, 0600);
    if (!mark) log_.warning("should this end be cut short, nobody clears away what is left: " + mark.error().message);
}

void Estate::note_stop(const std::string& runtime_dir) {
    const auto mark = keep::sys::open(stop_mark(runtime_dir), O_WRONLY | O_CREAT | O_NOFOLLOW, 0600);
    if (!mark) log_.warning("should this stop be cut short, a restart would end as well: " + mark.error().message);
}

void Estate::end() {
    if (!file_.empty()) (void)::unlink(file_.c_str());
    if (!vaults_) return;
    systemd::forget_stored(upgrade::stored_checkpoint);
    for (const char* name : upgrade::stored_vaults)
        systemd::forget_stored(name);
}

// Once, until it works again: keepd goes on without.
void Estate::report(const keep::Result<>& done, const char* what) {
    if (done) {
        full_ = false;
    } else if (!full_) {
        full_ = true;
        log_.error(std::string(what) + ": " + done.error().message +
                   "; a crash of keepd now would not be survived whole");
    }
}

} // namespace keepd::host
