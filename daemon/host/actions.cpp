// Orders of the policy, carried out. What comes of them goes back in as events.
#include <algorithm>
#include <cerrno>

#include "daemon/core/describe.hpp"
#include "daemon/host/host.hpp"
#include "daemon/host/upgrader.hpp"
#include "daemon/upgrade/file_identity.hpp"
#include "lib/sys/process.hpp"
#include "systemd/notify.hpp"

namespace keepd::host {

void Host::perform(const core::Action& action) {
    std::visit([this](const auto& order) { perform(order); }, action);
}

void Host::perform(const core::Spawn& action) {
    const auto program = state_.programs.find(action.name);
    if (program == state_.programs.end()) return;
    const auto failed = [&](const keep::Error& error) {
        submit(core::SpawnFailed{action.name, action.run, error.message});
    };
    // The pipes are in safe keeping before anyone writes into them, and the process before anyone is told of it.
    if (const auto arranged = arrange_streams(*pump_, program->second.spec); !arranged) return failed(arranged.error());
    park_opened_streams();
    auto run = start(program->second.spec, action.run, heritage_, now().time, state_.daemon.seed, trees_, *pump_);
    for (const auto& what : heritage_.take_losses())
        log_.warning("programs can't get the " + what + " of keepd's first start any more: they get keepd's own");
    if (!run) return failed(run.error());
    const Run& added = runs_.add(std::move(*run));
    estate_.note_identity(added);
    estate_.park(item_of(added));
    submit(core::Spawned{action.name, action.run, added.process.pid()});
}

void Host::perform(const core::Signal& action) {
    if (Run* run = runs_.by_id(action.run)) trees_.signal(*run, action.signal, action.scope);
}

void Host::perform(const core::FindSurvivors& action) {
    const Run* run = runs_.by_id(action.run);
    if (run == nullptr) return;
    auto survivors = trees_.survivors(*run);
    if (survivors.empty() && run->reaped) return submit(core::TreeEmpty{action.name, action.run});
    submit(core::Survived{action.name, action.run, std::move(survivors)});
}

void Host::perform(const core::Retire& action) {
    Run* run = runs_.by_id(action.run);
    if (run == nullptr) return;
    if (estate_.needs_identity(*run)) estate_.forget_identity(action.run);
    trees_.retire(*run);
    runs_.erase(action.run);
}

void Host::perform(const core::ArrangeLogs& action) {
    const auto program = state_.programs.find(action.name);
    if (program == state_.programs.end()) return drop_streams(*pump_, action.name);
    if (const auto arranged = arrange_streams(*pump_, program->second.spec); !arranged)
        log_.error(action.name + ": " + arranged.error().message);
    park_opened_streams();
}

void Host::perform(const core::ApplySettings& action) {
    const auto& settings = state_.daemon.settings;
    const auto concerns = [&](std::string_view prefix) {
        return std::ranges::any_of(action.fields, [&](const std::string& field) { return field.starts_with(prefix); });
    };
    if (concerns("log.")) log_.configure(settings.log);
    if (concerns("control.") && server_) {
        if (const auto bound = server_->rebind(settings.control))
            park_listener();
        else
            log_.error("control: the socket stays as it was: " + bound.error().message);
    }
    if (concerns("upgrade.binary") || concerns("upgrade.watch_binary")) watch_binary();
    if (concerns("subreaper"))
        if (const auto set = keep::sys::set_child_subreaper(settings.subreaper); !set) log_.error(set.error().message);
}

std::string Host::binary_path() const {
    const std::string& configured = state_.daemon.settings.upgrade.binary;
    return configured.empty() ? started_by_ : configured;
}

void Host::watch_binary() {
    binary_watch_.reset();
    if (!state_.daemon.settings.upgrade.watch_binary) return;
    const std::string path = binary_path();
    if (path.empty())
        return log_.error("upgrade.watch_binary: keepd can't tell the path it was started by; set upgrade.binary");
    auto watch = upgrade::BinaryWatch::begin(
        *loop_, path, state_.daemon.binary_seen,
        [this](const core::FileIdentity& file) {
            submit(core::BinaryChanged{file, file == upgrade::identify_running()});
        },
        [this](const std::string& problem) { log_.error("upgrade.watch_binary: " + problem); });
    if (!watch) return log_.error("upgrade.watch_binary: " + watch.error().message);
    binary_watch_ = std::move(*watch);
}

void Host::perform(const core::BeginReload&) {
    systemd::notify_reloading(now().time);
    auto plan = prepared_ ? std::move(*prepared_) : load_plan();
    prepared_.reset();
    if (plan) {
        submit(core::PlanLoaded{std::make_shared<const config::Plan>(std::move(*plan))});
    } else {
        std::string text;
        for (const auto& fault : plan.error())
            text += (text.empty() ? "" : "\n") + config::to_text(fault);
        submit(core::PlanRefused{text});
    }
    trim_due_ = true;
    ready_due_ = true; // told when the plan has been applied
}

void Host::perform(const core::BeginUpgrade& action) {
    control::UpgradeRequest request;
    request.if_changed = action.if_changed;
    // Any other refusal has become an event already.
    if (const auto begun = upgrader_->begin(request); !begun && begun.error().code == EBUSY)
        log_.error("upgrade refused: " + begun.error().message);
}

void Host::perform(const core::Quit& action) {
    exit_code_ = action.code;
    loop_->quit();
}

void Host::perform(const core::Announce& action) {
    log_.notice(action.notice);
    if (server_) server_->announce(action.notice);
}

} // namespace keepd::host
