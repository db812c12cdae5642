// Manifests of the config's values (config/plan.hpp): what of a plan is saved. Words are keepd.json(5)'s.
#pragma once

#include "config/plan.hpp"
#include "daemon/checkpoint/codec.hpp"

namespace keepd::config {

using checkpoint::critical;

constexpr std::string_view enum_word(Type value) {
    switch (value) {
    case Type::simple: return "simple";
    case Type::oneshot: return "oneshot";
    }
    return {};
}

constexpr std::string_view enum_word(RestartPolicy value) {
    switch (value) {
    case RestartPolicy::no: return "no";
    case RestartPolicy::always: return "always";
    case RestartPolicy::on_failure: return "on-failure";
    case RestartPolicy::on_abnormal: return "on-abnormal";
    }
    return {};
}

constexpr std::string_view enum_word(StartLimitAction value) {
    switch (value) {
    case StartLimitAction::slow: return "slow";
    case StartLimitAction::fail: return "fail";
    case StartLimitAction::shutdown: return "shutdown";
    }
    return {};
}

constexpr std::string_view enum_word(KillMode value) {
    switch (value) {
    case KillMode::tree: return "tree";
    case KillMode::group: return "group";
    case KillMode::process: return "process";
    }
    return {};
}

constexpr std::string_view enum_word(ExitMatch::Kind value) {
    switch (value) {
    case ExitMatch::Kind::code: return "code";
    case ExitMatch::Kind::signal: return "signal";
    }
    return {};
}

constexpr std::string_view enum_word(Output::Kind value) {
    switch (value) {
    case Output::Kind::file: return "file";
    case Output::Kind::null: return "null";
    case Output::Kind::inherit: return "inherit";
    case Output::Kind::to_stdout: return "stdout";
    }
    return {};
}

constexpr std::string_view enum_word(LogLevel value) {
    switch (value) {
    case LogLevel::debug: return "debug";
    case LogLevel::info: return "info";
    case LogLevel::warning: return "warning";
    case LogLevel::error: return "error";
    }
    return {};
}

template <class V>
constexpr void fields(ExitMatch& self, V& visit) {
    visit("kind", self.kind, critical);
    visit("value", self.value, critical);
}

template <class V>
constexpr void fields(Restart& self, V& visit) {
    visit("policy", self.policy);
    visit("delay", self.delay);
    visit("backoff_factor", self.backoff_factor);
    visit("max_delay", self.max_delay);
    visit("jitter", self.jitter);
    visit("reset_after", self.reset_after);
    visit("start_limit_burst", self.start_limit_burst);
    visit("start_limit_interval", self.start_limit_interval);
    visit("start_limit_action", self.start_limit_action);
    visit("slow_delay", self.slow_delay);
    visit("success_exit_codes", self.success_exit_codes);
    visit("prevent_exit_codes", self.prevent_exit_codes);
    visit("force_exit_codes", self.force_exit_codes);
}

template <class V>
constexpr void fields(StopStep& self, V& visit) {
    visit("signal", self.signal, critical);
    visit("wait", self.wait);
}

template <class V>
constexpr void fields(Stop& self, V& visit) {
    visit("sequence", self.sequence, critical);
    visit("kill_mode", self.kill_mode, critical);
}

template <class V>
constexpr void fields(Output& self, V& visit) {
    visit("kind", self.kind, critical);
    visit("path", self.path, critical);
    visit("max_size", self.max_size);
    visit("max_files", self.max_files);
}

template <class V>
constexpr void fields(Limit& self, V& visit) {
    visit("soft", self.soft);
    visit("hard", self.hard);
}

template <class V>
constexpr void fields(Identity& self, V& visit) {
    visit("uid", self.uid, critical);
    visit("gid", self.gid, critical);
    visit("groups", self.groups, critical);
    visit("user", self.user);
    visit("home", self.home);
    visit("shell", self.shell);
}

template <class V>
constexpr void fields(EnvFile& self, V& visit) {
    visit("path", self.path);
    visit("optional", self.optional);
}

template <class V>
constexpr void fields(EnvInherit& self, V& visit) {
    visit("all", self.all);
    visit("names", self.names);
}

template <class V>
constexpr void fields(Program& self, V& visit) {
    visit("name", self.name, critical);
    visit("base", self.base);
    visit("instance", self.instance);
    visit("argv", self.argv, critical);
    visit("executable", self.executable, critical);
    visit("shell", self.shell);
    visit("description", self.description);
    visit("type", self.type, critical);
    visit("autostart", self.autostart);
    visit("working_dir", self.working_dir, critical);
    visit("environment", self.environment, critical);
    visit("env_files", self.env_files, critical);
    visit("env_inherit", self.env_inherit, critical);
    visit("identity", self.identity, critical);
    visit("umask", self.umask, critical);
    visit("restart", self.restart);
    visit("stop", self.stop);
    visit("stdout", self.out);
    visit("stderr", self.err);
    visit("limits", self.limits, critical);
    visit("nice", self.nice);
    visit("oom_score_adjust", self.oom_score_adjust);
    visit("no_new_privileges", self.no_new_privileges, critical);
    visit("parent_death_signal", self.parent_death_signal, critical);
}

template <class V>
constexpr void fields(Log& self, V& visit) {
    visit("level", self.level);
    visit("target", self.target);
}

template <class V>
constexpr void fields(Control& self, V& visit) {
    visit("path", self.path, critical);
    visit("mode", self.mode, critical);
    visit("group", self.group, critical);
}

template <class V>
constexpr void fields(Upgrade& self, V& visit) {
    visit("binary", self.binary);
    visit("rehearsal_timeout", self.rehearsal_timeout);
    visit("commit_timeout", self.commit_timeout);
    visit("min_interval", self.min_interval);
    visit("watch_binary", self.watch_binary);
}

template <class V>
constexpr void fields(Daemon& self, V& visit) {
    visit("config_path", self.config_path, critical);
    visit("log", self.log);
    visit("log_dir", self.log_dir);
    visit("state_dir", self.state_dir);
    visit("runtime_dir", self.runtime_dir);
    visit("control", self.control);
    visit("shutdown_timeout", self.shutdown_timeout);
    visit("subreaper", self.subreaper);
    visit("upgrade", self.upgrade);
}

} // namespace keepd::config
