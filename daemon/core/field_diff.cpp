#include "daemon/core/field_diff.hpp"

#include <cstdint>
#include <string>
#include <utility>

#include "daemon/core/field_text.hpp"

namespace keepd::core {

namespace {

using enum Reach;

class Changes {
  public:
    template <typename Value>
    void compare(std::string field, Reach reach, const Value& from, const Value& to) {
        compare(std::move(field), reach, from, to, [](const Value& value) { return field_text::of(value); });
    }
    template <typename Value, typename Text>
    void compare(std::string field, Reach reach, const Value& from, const Value& to, Text text) {
        if (from != to) add(std::move(field), reach, text(from), text(to));
    }
    // Key by key, as "FIELD.KEY".
    template <typename Map, typename Text>
    void compare_map(const std::string& field, Reach reach, const Map& from, const Map& to, Text text) {
        const std::string prefix = field + ".";
        for (const auto& [key, value] : from) {
            const auto other = to.find(key);
            if (other == to.end())
                add(prefix + key, reach, text(value), field_text::absent);
            else
                compare(prefix + key, reach, value, other->second, text);
        }
        for (const auto& [key, value] : to)
            if (!from.contains(key)) add(prefix + key, reach, field_text::absent, text(value));
    }
    void add(std::string field, Reach reach, std::string from, std::string to) {
        fields_.push_back({std::move(field), reach, std::move(from), std::move(to)});
    }
    std::vector<FieldChange> take() { return std::move(fields_); }

  private:
    std::vector<FieldChange> fields_;
};

template <typename Number>
std::string optional_number(const std::optional<Number>& number) {
    return number ? field_text::of(static_cast<int>(*number)) : field_text::absent;
}

std::string optional_gid(const std::optional<std::uint32_t>& gid) {
    return gid ? field_text::of(std::uint64_t{*gid}) : field_text::absent;
}

// A change of the user brings another group and home by itself; "group" is named when it is all that changed.
void compare_identity(Changes& changes, const std::optional<config::Identity>& from,
                      const std::optional<config::Identity>& to) {
    if (from == to) return;
    if (from && to) {
        config::Identity other_group = *from;
        other_group.gid = to->gid;
        if (other_group == *to) {
            changes.add("group", restart, field_text::group(*from), field_text::group(*to));
            return;
        }
    }
    changes.add("user", restart, field_text::user(from), field_text::user(to));
}

void compare_command(Changes& changes, const config::Program& from, const config::Program& to) {
    if (from.argv != to.argv)
        changes.compare("command", restart, from.argv, to.argv);
    else
        changes.compare("command", restart, from.executable, to.executable); // the same words now find another file
}

void compare_restart(Changes& changes, const config::Restart& from, const config::Restart& to) {
    changes.compare("restart.policy", live, from.policy, to.policy);
    changes.compare("restart.delay", live, from.delay, to.delay);
    changes.compare("restart.backoff_factor", live, from.backoff_factor, to.backoff_factor);
    changes.compare("restart.max_delay", live, from.max_delay, to.max_delay);
    changes.compare("restart.jitter", live, from.jitter, to.jitter);
    changes.compare("restart.reset_after", live, from.reset_after, to.reset_after);
    changes.compare("restart.start_limit_burst", live, from.start_limit_burst, to.start_limit_burst);
    changes.compare("restart.start_limit_interval", live, from.start_limit_interval, to.start_limit_interval);
    changes.compare("restart.start_limit_action", live, from.start_limit_action, to.start_limit_action);
    changes.compare("restart.slow_delay", live, from.slow_delay, to.slow_delay);
    changes.compare("restart.success_exit_codes", live, from.success_exit_codes, to.success_exit_codes);
    changes.compare("restart.prevent_exit_codes", live, from.prevent_exit_codes, to.prevent_exit_codes);
    changes.compare("restart.force_exit_codes", live, from.force_exit_codes, to.force_exit_codes);
}

void compare_stop(Changes& changes, const config::Stop& from, const config::Stop& to) {
    if (from.sequence.size() == 1 && to.sequence.size() == 1) {
        changes.compare("stop.signal", live, from.sequence[0].signal, to.sequence[0].signal, field_text::signal);
        changes.compare("stop.timeout", live, from.sequence[0].wait, to.sequence[0].wait);
    } else {
        changes.compare("stop.sequence", live, from.sequence, to.sequence);
    }
    changes.compare("stop.kill_mode", live, from.kill_mode, to.kill_mode);
}

// A program holds the stream that it was started with: another kind needs another start; another file does not.
void compare_output(Changes& changes, const std::string& field, const config::Output& from, const config::Output& to) {
    if (from.kind != to.kind) {
        changes.add(field, restart, field_text::of(from), field_text::of(to));
        return;
    }
    changes.compare(field + ".path", live, from.path, to.path);
    changes.compare(field + ".max_size", live, from.max_size, to.max_size);
    changes.compare(field + ".max_files", live, std::uint64_t{from.max_files}, std::uint64_t{to.max_files});
}

// The manifests: a structured binding must name every member, so that a new field stops the build here. List it
// there and compare it above or below.
[[maybe_unused]] void every_field_is_known(const config::Plan& plan, const config::Program& program) {
    [[maybe_unused]] const auto& [name, base, instance, argv, executable, shell, description, type, autostart,
                                  working_dir, environment, env_files, env_inherit, identity, umask, restart, stop, out,
                                  err, limits, nice, oom_score_adjust, no_new_privileges, parent_death_signal] =
        program;
    [[maybe_unused]] const auto& [policy, delay, backoff_factor, max_delay, jitter, reset_after, start_limit_burst,
                                  start_limit_interval, start_limit_action, slow_delay, success_exit_codes,
                                  prevent_exit_codes, force_exit_codes] = restart;
    [[maybe_unused]] const auto& [sequence, kill_mode] = stop;
    [[maybe_unused]] const auto& [kind, path, max_size, max_files] = out;
    [[maybe_unused]] const auto& [daemon, programs] = plan;
    [[maybe_unused]] const auto& [config_path, log, log_dir, state_dir, runtime_dir, control, shutdown_timeout,
                                  subreaper, upgrade] = daemon;
    [[maybe_unused]] const auto& [level, target] = log;
    [[maybe_unused]] const auto& [socket, mode, group] = control;
    [[maybe_unused]] const auto& [binary, watch_binary, rehearsal_timeout, commit_timeout, min_interval] = upgrade;
}

} // namespace

std::vector<FieldChange> changed_fields(const config::Program& from, const config::Program& to) {
    if (from == to) return {};
    Changes changes;
    changes.compare("name", restart, from.name, to.name); // these three never differ between two of one name
    changes.compare("base", restart, from.base, to.base);
    changes.compare("instance", restart, from.instance, to.instance);
    compare_command(changes, from, to);
    changes.compare("shell", restart, from.shell, to.shell);
    changes.compare("description", live, from.description, to.description);
    changes.compare("type", restart, from.type, to.type);
    changes.compare("autostart", live, from.autostart, to.autostart);
    changes.compare("working_dir", restart, from.working_dir, to.working_dir);
    changes.compare_map(
        "environment", restart, from.environment, to.environment,
        [](const std::optional<std::string>& value) { return value ? field_text::of(*value) : "null"; });
    changes.compare("env_file", restart, from.env_files, to.env_files);
    changes.compare("env_inherit", restart, from.env_inherit, to.env_inherit);
    compare_identity(changes, from.identity, to.identity);
    changes.compare("umask", restart, from.umask, to.umask, field_text::octal);
    compare_restart(changes, from.restart, to.restart);
    compare_stop(changes, from.stop, to.stop);
    compare_output(changes, "stdout", from.out, to.out);
    compare_output(changes, "stderr", from.err, to.err);
    changes.compare_map("limits", restart, from.limits, to.limits,
                        [](const config::Limit& limit) { return field_text::of(limit); });
    changes.compare("nice", restart, from.nice, to.nice, optional_number<int>);
    changes.compare("oom_score_adjust", restart, from.oom_score_adjust, to.oom_score_adjust, optional_number<int>);
    changes.compare("no_new_privileges", restart, from.no_new_privileges, to.no_new_privileges);
    changes.compare("parent_death_signal", restart, from.parent_death_signal, to.parent_death_signal,
                    field_text::signal);
    return changes.take();
}

namespace {

// The socket lies in the runtime_dir and moves with it alone: whoever asked for the one did not ask for the other.
bool follows_runtime_dir(const config::Daemon& from, const config::Daemon& to) {
    const auto below = [](const config::Daemon& daemon) -> std::optional<std::string> {
        if (!daemon.control.path.starts_with(daemon.runtime_dir + "/")) return std::nullopt;
        return daemon.control.path.substr(daemon.runtime_dir.size());
    };
    return from.runtime_dir != to.runtime_dir && below(from) && below(from) == below(to);
}

} // namespace

std::vector<FieldChange> changed_fields(const config::Daemon& from, const config::Daemon& to) {
    if (from == to) return {};
    Changes changes;
    changes.compare("config_path", next_start, from.config_path, to.config_path);
    changes.compare("log.level", live, from.log.level, to.log.level);
    changes.compare("log.target", live, from.log.target, to.log.target);
    changes.compare("log_dir", live, from.log_dir, to.log_dir);
    changes.compare("state_dir", next_start, from.state_dir, to.state_dir);
    changes.compare("runtime_dir", next_start, from.runtime_dir, to.runtime_dir);
    changes.compare("control.path", follows_runtime_dir(from, to) ? next_start : live, from.control.path,
                    to.control.path);
    changes.compare("control.mode", live, from.control.mode, to.control.mode, field_text::octal);
    changes.compare("control.group", live, from.control.group, to.control.group, optional_gid);
    changes.compare("shutdown_timeout", live, from.shutdown_timeout, to.shutdown_timeout);
    changes.compare("subreaper", live, from.subreaper, to.subreaper);
    changes.compare("upgrade.binary", live, from.upgrade.binary, to.upgrade.binary);
    changes.compare("upgrade.watch_binary", live, from.upgrade.watch_binary, to.upgrade.watch_binary);
    changes.compare("upgrade.rehearsal_timeout", live, from.upgrade.rehearsal_timeout, to.upgrade.rehearsal_timeout);
    changes.compare("upgrade.commit_timeout", live, from.upgrade.commit_timeout, to.upgrade.commit_timeout);
    changes.compare("upgrade.min_interval", live, from.upgrade.min_interval, to.upgrade.min_interval);
    return changes.take();
}

} // namespace keepd::core
