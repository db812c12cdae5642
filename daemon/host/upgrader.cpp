#include "daemon/host/upgrader.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <utility>

#include <keep/exec/replace.hpp>

#include "daemon/core/step.hpp"
#include "daemon/host/host.hpp"
#include "daemon/host/next.hpp"
#include "daemon/upgrade/environment.hpp"
#include "daemon/upgrade/file_identity.hpp"
#include "daemon/upgrade/guard.hpp"
#include "daemon/upgrade/state_file.hpp"
#include "systemd/notify.hpp"

namespace keepd::host {

namespace {

// A disk that hangs longer than this refuses the upgrade; programs' logs must not be torn from the pump.
constexpr auto pump_patience = std::chrono::seconds(3);
// What the manager is told on the way, each for a second at most, and the exec itself.
constexpr auto words_and_exec = std::chrono::seconds(5);

constexpr const char* running_image = "the running image";

std::string short_id(const std::string& build_id) {
    return build_id.substr(0, 12);
}

// Want of means says nothing about a candidate.
bool is_want(const keep::Error& error) {
    return error.code == EMFILE || error.code == ENFILE || error.code == ENOMEM || error.code == EAGAIN;
}

} // namespace

keep::Result<> Upgrader::begin(const control::UpgradeRequest& request) {
    const std::string path = request.binary.empty() ? host_.binary_path() : request.binary;
    const auto file = upgrade::identify_file(path);
    const auto& under_way = host_.state().daemon.upgrading;
    if (request.if_changed && under_way && file && under_way->file == file) return {};
    if (const auto reason = core::upgrade_refusal(host_.state())) return keep::fail(*reason, EBUSY);
    if (request.if_changed && nothing_changed(path, file)) return {};
    rehearse_only_ = request.rehearse_only;
    force_ = request.force;
    const auto refuse = [&](const keep::Error& error) -> keep::Result<> {
        candidate_.reset();
        pinned_.reset();
        host_.submit(core::UpgradeFinished{false, false, "refused: " + error.message, rehearse_only_, is_want(error)});
        return keep::fail(error.message, error.code == EBUSY ? 0 : error.code);
    };
    if (path.empty())
        return refuse(
            keep::fail("which binary? keepd can't tell the path it was started by; name one, or set upgrade.binary")
                .error());

    host_.submit(core::UpgradeBegun{path, file});
    auto candidate = upgrade::examine(path);
    if (!candidate) return refuse(candidate.error());
    candidate_ = std::move(*candidate);
    // Whatever happens to its file: this is what runs. (No one can write into it while it does: ETXTBSY.)
    auto pinned = keep::sys::open("/proc/self/exe", O_RDONLY);
    if (!pinned)
        return refuse(keep::Error{pinned.error().code, "the running image can't be pinned: " + pinned.error().message});
    pinned_ = std::move(*pinned);

    if (candidate_->image.build_id == host_.identity().build_id && !request.force && !request.rehearse_only) {
        finish(true, 0,
               "nothing to do: " + path + " is the build that runs (" + short_id(candidate_->image.build_id) + ")");
        return {};
    }
    // Nothing of it has run: one that cannot read what we write is not even rehearsed.
    const auto format = upgrade::choose_format(candidate_->image.formats);
    if (!format) return refuse(keep::fail_in(path, format.error()).error());
    format_ = *format;
    if (auto begun = rehearse(path, candidate_->fd.get(), [this](auto answer) { rehearsed(std::move(answer)); });
        !begun)
        return refuse(begun.error());
    return {};
}

keep::Result<> Upgrader::rehearse(const std::string& path, int image_fd, upgrade::Rehearsal::Done done) {
    auto state = state_for_rehearsal();
    if (!state) return std::unexpected(state.error());
    const auto deadline = host_.now().time + host_.state().daemon.settings.upgrade.rehearsal_timeout;
    auto rehearsal = upgrade::Rehearsal::begin(
        *host_.loop_, {path, image_fd, state->get(), host_.options_.argv[0], host_.heritage_.environment(), deadline},
        std::move(done));
    if (!rehearsal) return std::unexpected(rehearsal.error());
    rehearsal_ = std::move(*rehearsal);
    return {};
}

// What --if-changed and the watch need not try; told to who asked, and to nobody else: nothing has happened.
bool Upgrader::nothing_changed(const std::string& path, const std::optional<core::FileIdentity>& file) {
    if (!file) return false;
    const auto answer = [&](bool ok, int exit_code, const std::string& text) {
        host_.log_.info("upgrade: " + text);
        if (host_.server_) host_.server_->upgrade_ended(ok, exit_code, text);
        return true;
    };
    if (file == upgrade::identify_running())
        return answer(true, 0, "nothing to do: " + path + " is the file that runs");
    if (const auto* refused = core::refused_before(host_.state().daemon, *file))
        return answer(false, 1, path + " is not tried again, it has not changed since this: " + refused->text);
    return false;
}

keep::Result<keep::sys::Fd> Upgrader::state_for_rehearsal() {
    // Streams and clients are still at work: the draft shows the candidate the form, the real ones follow at the exec.
    const upgrade::Handoff draft = begin_handoff();
    digest_ = upgrade::digest(host_.state(), host_.unknown_, draft);
    return host_.estate_.live().sealed_copy(upgrade::encode(draft, host_.unknown_), format_.minor);
}

bool Upgrader::child_ended(int pid, const keep::ExitStatus& status) {
    if (!rehearsal_ || rehearsal_->pid() != pid) return false;
    rehearsal_->exited(status);
    return true;
}

void Upgrader::rehearsed(keep::Result<upgrade::Answer> answer) {
    const auto rehearsal = std::move(rehearsal_); // we are inside a call of it: destroyed when this returns
    if (answer) {
        const auto& image = candidate_->image;
        if (answer->build_id != image.build_id || answer->version != image.version)
            answer = keep::fail("the rehearsal of " + candidate_->path + " failed: it says it is " + answer->version +
                                " (build " + short_id(answer->build_id) + "), but its file is " + image.version +
                                " (build " + short_id(image.build_id) + ")");
        else if (answer->digest != digest_)
            answer = keep::fail("the rehearsal of " + candidate_->path +
                                " failed: it does not understand the state as it was meant (digest " + answer->digest +
                                " instead of " + digest_ + ")");
    }
    if (!answer) return finish(false, 1, "refused: " + answer.error().message);
    if (answer->build_id == host_.identity().build_id)
        return go_ahead(*answer); // what could come back has just shown it

    // The running image as well: a package's upgrade may have taken a library away that it would need to come back.
    answer_ = std::move(*answer);
    const auto begun = rehearse(running_image, pinned_.get(), [this](auto own) { way_back_rehearsed(std::move(own)); });
    if (!begun) way_back_rehearsed(std::unexpected(begun.error()));
}

void Upgrader::way_back_rehearsed(keep::Result<upgrade::Answer> own) {
    const auto rehearsal = std::move(rehearsal_);
    const upgrade::Answer answer = std::move(*std::exchange(answer_, std::nullopt));
    if (own && own->digest != digest_)
        own = keep::fail("the running image does not read its own state as it was meant");
    if (own) return go_ahead(answer);
    if (!force_)
        return finish(false, 1,
                      "refused: there would be no way back, --force upgrades all the same: " + own.error().message,
                      true); // the candidate is as good as it was
    host_.log_.warning("upgrade: there is no way back if it fails: " + own.error().message);
    pinned_.reset();
    go_ahead(answer);
}

void Upgrader::go_ahead(const upgrade::Answer& answer) {
    if (rehearse_only_)
        return finish(true, 0,
                      "rehearsed: " + candidate_->path + " is " + answer.version + " (build " +
                          short_id(answer.build_id) + ") and could take over " + std::to_string(answer.programs) +
                          " programs");
    ready_ = true;
    host_.loop_->quit();
}

void Upgrader::finish(bool ok, int exit_code, const std::string& text, bool blameless) {
    candidate_.reset();
    pinned_.reset();
    host_.submit(core::UpgradeFinished{ok, false, text, rehearse_only_, blameless});
    if (host_.server_) host_.server_->upgrade_ended(ok, exit_code, text);
}

void Upgrader::carry_out() {
    ready_ = false;
    // Signals that have arrived become part of the state; later ones stay pending across the exec.
    host_.read_signals();
    // Until the loop runs again nobody feeds the watchdog. A short one is asked to be patient; the next image's
    // commit, or what follows here, sets it back.
    const auto watchdog = systemd::watchdog_interval();
    const auto silence = pump_patience + host_.state().daemon.settings.upgrade.commit_timeout + words_and_exec;
    const bool short_watchdog = watchdog && *watchdog < 2 * silence;
    if (short_watchdog) systemd::notify_watchdog(silence);
    const keep::Error failure = replace_image();
    if (short_watchdog) systemd::notify_watchdog(*watchdog);
    // A disk that hangs, or no memory: the same file may succeed next time.
    finish(false, 1, "failed, nothing changed: " + failure.message, true);
}

upgrade::Handoff Upgrader::begin_handoff() {
    const auto identity = host_.identity();
    upgrade::Handoff handoff;
    handoff.from_version = identity.version;
    handoff.from_build_id = identity.build_id;
    handoff.to_path = candidate_->path;
    handoff.to_version = candidate_->image.version;
    handoff.to_build_id = candidate_->image.build_id;
    handoff.started_by = host_.started_by_;
    handoff.origins = host_.heritage_.origins();
    handoff.tree_root = host_.trees_.root();
    handoff.parked_at = host_.now().time;
    host_.runs_.each([&](const Run& run) {
        auto& carried = handoff.runs.emplace_back();
        carried.program = run.program;
        carried.run = run.id;
        carried.pid = run.process.pid();
        carried.pidfd = run.process.pidfd();
        carried.cgroup = run.cgroup;
        if (run.foster) {
            carried.foster = true;
            carried.stat = run.foster->stat();
            carried.trusted = run.foster->trusted();
        }
        for (const Member& member : run.members)
            carried.members.push_back({member.process.pid(), member.process.pidfd()});
    });
#ifdef KEEPD_NEXT
    add_next_fields(handoff);
#endif
    return handoff;
}

keep::Error Upgrader::replace_image() {
    upgrade::Handoff handoff = begin_handoff();
    auto streams = host_.pump_->park(pump_patience);
    if (!streams) return streams.error();
    handoff.streams = std::move(*streams);
    handoff.control = host_.server_->park();
    host_.estate_.travel(handoff);
    host_.pump_source_.reset();

    // What is parked is not taken apart: it would cost time, and ends with this image.
    const auto put_back = [&](keep::Error error) {
        host_.server_.reset();
        host_.pump_.reset();
        auto pump = logs::Pump::resume(std::move(handoff.streams));
        auto server =
            control::Server::resume(*host_.loop_, host_, std::move(handoff.control), control::Server::Losing::clients);
        // Both only rebuild what was just taken down; if even that fails there is nothing left to serve with.
        if (!pump || !server) {
            host_.log_.error("keepd can't go on after a failed upgrade and ends: " +
                             (pump ? server.error().message : pump.error().message));
            host_.log_.flush();
            std::abort();
        }
        host_.pump_ = std::move(*pump);
        host_.watch_log_files();
        host_.server_ = std::move(*server);
        return error;
    };

    auto descriptors = upgrade::identify_descriptors(handoff);
    if (!descriptors) return put_back(descriptors.error());
    handoff.descriptors = std::move(*descriptors);
    handoff.descriptors.insert(handoff.descriptors.end(), host_.unclaimed_.begin(), host_.unclaimed_.end());
    auto state = host_.estate_.live().sealed_copy(upgrade::encode(handoff, host_.unknown_), format_.minor);
    if (!state) return put_back(state.error());

    keep::exec::Replacement with;
    with.path = candidate_->path;
    with.fd = candidate_->fd.get();
    with.argv = host_.options_.argv;
    std::vector<std::string> own{"--resume=" + std::to_string(state->get())};
    if (pinned_)
        own.push_back(upgrade::way_back_argument(pinned_.get(), host_.state().daemon.settings.upgrade.commit_timeout));
    with.argv.insert(with.argv.begin() + 1, own.begin(), own.end());
    with.env = upgrade::for_new_image(host_.heritage_.environment());
    with.keep = upgrade::carried_numbers(handoff);
    for (const auto& carried : host_.unclaimed_)
        with.keep.push_back(carried.fd);
    with.keep_is_marked = true; // born close-on-exec, all of them
    with.keep.push_back(state->get());
    if (pinned_) with.keep.push_back(pinned_.get());

    host_.log_.info("executing " + candidate_->path + " (build " + short_id(candidate_->image.build_id) +
                    "), the state in format " + upgrade::to_text(format_));
    host_.log_.flush();
    systemd::notify_reloading(host_.now().time);
    systemd::notify_watchdog();
    const keep::exec::Error error = keep::exec::replace(with);
    host_.tell_ready();
    return put_back({error.error_number(), error.message()});
}

} // namespace keepd::host
