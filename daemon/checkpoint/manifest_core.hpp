// Manifests of the policy's state (daemon/core/state.hpp): what survives an upgrade and a crash.
#pragma once

#include "daemon/checkpoint/codec.hpp"
#include "daemon/checkpoint/manifest_config.hpp"
#include "daemon/core/state.hpp"

namespace keep {

constexpr std::string_view enum_word(ExitStatus::Kind value) {
    switch (value) {
    case ExitStatus::Kind::exited: return "exited";
    case ExitStatus::Kind::signaled: return "signaled";
    case ExitStatus::Kind::unknown: return "unknown";
    }
    return {};
}

template <class V>
constexpr void fields(ExitStatus& self, V& visit) {
    visit("kind", self.kind, keepd::checkpoint::critical);
    visit("value", self.value, keepd::checkpoint::critical);
    visit("core", self.core);
}

template <class V>
constexpr void fields(ResourceUsage& self, V& visit) {
    visit("user", self.user);
    visit("system", self.system);
    visit("max_rss_kib", self.max_rss_kib);
}

} // namespace keep

namespace keepd::core {

using checkpoint::critical;
using checkpoint::critical_whole;
using checkpoint::whole;

constexpr std::string_view enum_word(Cause value) {
    switch (value) {
    case Cause::none: return "none";
    case Cause::exit: return "exit";
    case Cause::signal: return "signal";
    case Cause::spawn_error: return "spawn_error";
    case Cause::start_limit: return "start_limit";
    case Cause::operator_: return "operator";
    case Cause::reload: return "reload";
    case Cause::shutdown: return "shutdown";
    }
    return {};
}

constexpr std::string_view enum_word(Goal value) {
    switch (value) {
    case Goal::up: return "up";
    case Goal::down: return "down";
    case Goal::removed: return "removed";
    }
    return {};
}

constexpr std::string_view alternative_word(const Stopped*) {
    return "stopped";
}
constexpr std::string_view alternative_word(const Starting*) {
    return "starting";
}
constexpr std::string_view alternative_word(const Running*) {
    return "running";
}
constexpr std::string_view alternative_word(const Stopping*) {
    return "stopping";
}
constexpr std::string_view alternative_word(const Backoff*) {
    return "backoff";
}
constexpr std::string_view alternative_word(const Completed*) {
    return "completed";
}
constexpr std::string_view alternative_word(const Failed*) {
    return "failed";
}

constexpr std::string_view alternative_word(const Serving*) {
    return "serving";
}
constexpr std::string_view alternative_word(const ShuttingDown*) {
    return "shutting_down";
}
constexpr std::string_view alternative_word(const Over*) {
    return "over";
}

template <class V>
constexpr void fields(RunId& self, V& visit) {
    visit("value", self.value, critical);
}

template <class V>
constexpr void fields(Why& self, V& visit) {
    visit("cause", self.cause);
    visit("detail", self.detail);
}

template <class V>
constexpr void fields(Stopped&, V&) {}
template <class V>
constexpr void fields(Starting& self, V& visit) {
    visit("run", self.run, critical);
}
template <class V>
constexpr void fields(Running& self, V& visit) {
    visit("run", self.run, critical);
    visit("pid", self.pid, critical);
    visit("since", self.since);
}
template <class V>
constexpr void fields(Stopping& self, V& visit) {
    visit("run", self.run, critical);
    visit("pid", self.pid, critical);
    visit("since", self.since);
    visit("rung", self.rung, critical);
    visit("next_at", self.next_at, critical);
    visit("ordered", self.ordered, critical);
    visit("ended", self.ended, critical);
}
template <class V>
constexpr void fields(Backoff& self, V& visit) {
    visit("until", self.until, critical);
}
template <class V>
constexpr void fields(Completed&, V&) {}
template <class V>
constexpr void fields(Failed&, V&) {}

template <class V>
constexpr void fields(Retry& self, V& visit) {
    visit("failures", self.failures);
    visit("slow", self.slow);
    visit("starts", self.starts);
}

template <class V>
constexpr void fields(LastExit& self, V& visit) {
    visit("run", self.run);
    visit("status", self.status);
    visit("usage", self.usage);
    visit("uptime", self.uptime);
    visit("at", self.at);
}

template <class V>
constexpr void fields(Program& self, V& visit) {
    visit("spec", self.spec, critical_whole);
    visit("phase", self.phase, critical);
    visit("goal", self.goal, critical);
    visit("why", self.why, whole);
    visit("since", self.since);
    visit("since_wall", self.since_wall);
    visit("run", self.run, critical);
    visit("restarts", self.restarts);
    visit("retry", self.retry);
    visit("last_exit", self.last_exit);
#ifdef KEEPD_NEXT
    visit("note", self.note);
    visit("weight", self.weight, critical);
#endif
}

template <class V>
constexpr void fields(Outcome& self, V& visit) {
    visit("at", self.at);
    visit("ok", self.ok);
    visit("text", self.text);
}

template <class V>
constexpr void fields(Serving&, V&) {}
template <class V>
constexpr void fields(ShuttingDown& self, V& visit) {
    visit("deadline", self.deadline, critical);
    visit("killing", self.killing, critical);
}
template <class V>
constexpr void fields(Over&, V&) {}

template <class V>
constexpr void fields(FileIdentity& self, V& visit) {
    visit("device", self.device);
    visit("inode", self.inode);
    visit("size", self.size);
    visit("modified_ns", self.modified_ns);
    visit("mode", self.mode);
    visit("owner", self.owner);
}

template <class V>
constexpr void fields(Refused& self, V& visit) {
    visit("file", self.file);
    visit("text", self.text);
}

template <class V>
constexpr void fields(Upgrading& self, V& visit) {
    visit("began", self.began);
    visit("binary", self.binary);
    visit("file", self.file);
}

template <class V>
constexpr void fields(Deferred& self, V& visit) {
    visit("reload", self.reload);
    visit("shutdowns", self.shutdowns, critical);
    visit("upgrade_at", self.upgrade_at);
    visit("upgrade_if_changed", self.upgrade_if_changed);
}

template <class V>
constexpr void fields(Daemon& self, V& visit) {
    visit("settings", self.settings, critical_whole);
    visit("stage", self.stage, critical);
    visit("upgrading", self.upgrading);
    visit("deferred", self.deferred);
    visit("generation", self.generation);
    visit("next_run", self.next_run, critical);
    visit("next_notice", self.next_notice);
    visit("seed", self.seed);
    visit("started_at", self.started_at);
    visit("upgraded_at", self.upgraded_at);
    visit("last_upgrade_began", self.last_upgrade_began);
    visit("last_reload", self.last_reload);
    visit("last_upgrade", self.last_upgrade);
    visit("last_adoption", self.last_adoption);
    visit("refused", self.refused);
    visit("binary_seen", self.binary_seen);
#ifdef KEEPD_NEXT
    visit("motto", self.motto);
#endif
}

} // namespace keepd::core
