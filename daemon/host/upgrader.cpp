#include "daemon/host/upgrader.hpp"

#include <cerrno>

#include <keep/exec/replace.hpp>

#include "daemon/core/step.hpp"
#include "daemon/host/host.hpp"
#include "daemon/upgrade/environment.hpp"
#include "daemon/upgrade/state_file.hpp"
#include "systemd/notify.hpp"

namespace keepd::host {

namespace {

// A disk that hangs longer than this refuses the upgrade; programs' logs must not be torn from the pump.
constexpr auto pump_patience = std::chrono::seconds(3);

std::string short_id(const std::string& build_id) {
    return build_id.substr(0, 12);
}

} // namespace

keep::Result<> Upgrader::begin(const control::UpgradeRequest& request) {
    if (const auto reason = core::upgrade_refusal(host_.state())) return keep::fail(*reason, EBUSY);
    const auto& settings = host_.state().daemon.settings.upgrade;
    std::string path = request.binary;
    if (path.empty()) path = settings.binary;
    if (path.empty()) path = host_.started_by_;
    rehearse_only_ = request.rehearse_only;
    const auto refuse = [&](const keep::Error& error) -> keep::Result<> {
        candidate_.reset();
        host_.submit(core::UpgradeFinished{false, false, "refused: " + error.message, rehearse_only_});
        return keep::fail(error.message, error.code == EBUSY ? 0 : error.code);
    };
    if (path.empty())
        return refuse(
            keep::fail("which binary? keepd can't tell the path it was started by; name one, or set upgrade.binary")
                .error());

    host_.submit(core::UpgradeBegun{path});
    auto candidate = upgrade::examine(path);
    if (!candidate) return refuse(candidate.error());
    candidate_ = std::move(*candidate);

    if (candidate_->image.build_id == host_.identity().build_id && !request.force && !request.rehearse_only) {
        finish(true, 0,
               "nothing to do: " + path + " is the build that runs (" + short_id(candidate_->image.build_id) + ")");
        return {};
    }
    auto state = state_for_rehearsal();
    if (!state) return refuse(state.error());
    auto rehearsal =
        upgrade::Rehearsal::begin(*host_.loop_,
                                  {path, candidate_->fd.get(), state->get(), host_.options_.argv[0],
                                   host_.origins_.environment, host_.now().time + settings.rehearsal_timeout},
                                  [this](keep::Result<upgrade::Answer> answer) { rehearsed(std::move(answer)); });
    if (!rehearsal) return refuse(rehearsal.error());
    rehearsal_ = std::move(*rehearsal);
    return {};
}

keep::Result<keep::sys::Fd> Upgrader::state_for_rehearsal() {
    // Streams and clients are still at work: the draft shows the candidate the form, the real ones follow at the exec.
    const upgrade::Handoff draft = begin_handoff();
    digest_ = upgrade::digest(host_.state(), host_.unknown_, draft);
    return host_.live_->sealed_copy(upgrade::encode(draft));
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
    if (rehearse_only_)
        return finish(true, 0,
                      "rehearsed: " + candidate_->path + " is " + answer->version + " (build " +
                          short_id(answer->build_id) + ") and could take over " + std::to_string(answer->programs) +
                          " programs");
    ready_ = true;
    host_.loop_->quit();
}

void Upgrader::finish(bool ok, int exit_code, const std::string& text) {
    candidate_.reset();
    host_.submit(core::UpgradeFinished{ok, false, text, rehearse_only_});
    if (host_.server_) host_.server_->upgrade_ended(ok, exit_code, text);
}

void Upgrader::carry_out() {
    ready_ = false;
    // Signals that have arrived become part of the state; later ones stay pending across the exec.
    host_.read_signals();
    const keep::Error failure = replace_image();
    finish(false, 1, "failed, nothing changed: " + failure.message);
}

upgrade::Handoff Upgrader::begin_handoff() {
    const auto identity = host_.identity();
    upgrade::Handoff handoff;
    handoff.from_version = identity.version;
    handoff.from_build_id = identity.build_id;
    handoff.started_by = host_.started_by_;
    handoff.soft_nofile = host_.origins_.soft_nofile;
    handoff.tree_root = host_.trees_.root();
    handoff.parked_at = host_.now().time;
    host_.runs_.each([&](const Run& run) {
        auto& carried = handoff.runs.emplace_back();
        carried = {run.program, run.id, run.process.pid(), run.process.pidfd(), run.cgroup, {}};
        for (const Member& member : run.members)
            carried.members.push_back({member.process.pid(), member.process.pidfd()});
    });
    return handoff;
}

keep::Error Upgrader::replace_image() {
    upgrade::Handoff handoff = begin_handoff();
    auto streams = host_.pump_->park(pump_patience);
    if (!streams) return streams.error();
    handoff.streams = std::move(*streams);
    handoff.control = host_.server_->park();
    host_.server_.reset();
    host_.pump_source_.reset();
    host_.pump_.reset();

    const auto put_back = [&](keep::Error error) {
        auto pump = logs::Pump::resume(std::move(handoff.streams));
        auto server = control::Server::resume(*host_.loop_, host_, std::move(handoff.control));
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
    auto state = host_.live_->sealed_copy(upgrade::encode(handoff));
    if (!state) return put_back(state.error());

    keep::exec::Replacement with;
    with.path = candidate_->path;
    with.fd = candidate_->fd.get();
    with.argv = host_.options_.argv;
    with.argv.insert(with.argv.begin() + 1, "--resume=" + std::to_string(state->get()));
    with.env = upgrade::for_new_image(host_.origins_.environment);
    for (const auto& carried : handoff.descriptors)
        with.keep.push_back(carried.fd);
    with.keep.push_back(state->get());

    host_.log_.info("executing " + candidate_->path + " (build " + short_id(candidate_->image.build_id) + ")");
    host_.log_.flush();
    systemd::notify_reloading(host_.now().time);
    systemd::notify_watchdog();
    const keep::exec::Error error = keep::exec::replace(with);
    systemd::notify_ready(host_.status_line());
    return put_back({error.error_number(), error.message()});
}

} // namespace keepd::host
