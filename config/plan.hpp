// What a config means, after defaults, includes and instances are worked in: plain values, compared by ==.
// Words and defaults are those of keepd.json(5). A field that stands here works; a field that does not exist here
// is an unknown key.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "lib/base/time.hpp"

namespace keepd::config {

using keep::Duration;
using namespace std::chrono_literals;

enum class Type : std::uint8_t { simple, oneshot };
enum class RestartPolicy : std::uint8_t { no, always, on_failure, on_abnormal };
enum class StartLimitAction : std::uint8_t { slow, fail, shutdown };
enum class KillMode : std::uint8_t { tree, group, process };

// One way to end: an exit code, or death by a signal.
struct ExitMatch {
    enum class Kind : std::uint8_t { code, signal };
    Kind kind = Kind::code;
    int value = 0;
    auto operator<=>(const ExitMatch&) const = default;
};

struct Restart {
    RestartPolicy policy = RestartPolicy::always; // oneshot: no, unless the config says otherwise
    Duration delay = 500ms;                       // before the first restart
    double backoff_factor = 2.0;                  // growth of the delay per consecutive failure, >= 1
    Duration max_delay = 30s;                     // cap of the growth (jitter comes on top)
    double jitter = 0.1;                          // random extra as a share of the delay, 0..1
    Duration reset_after = 60s;                   // an uptime that clears the count of failures
    int start_limit_burst = 10;                   // automatic starts per sliding window; 0 = no limit
    Duration start_limit_interval = 10min;
    StartLimitAction start_limit_action = StartLimitAction::slow;
    Duration slow_delay = 5min;
    std::vector<ExitMatch> success_exit_codes{ExitMatch{}};
    std::vector<ExitMatch> prevent_exit_codes;
    std::vector<ExitMatch> force_exit_codes;
    bool operator==(const Restart&) const = default;
};

struct StopStep {
    int signal = 15;
    Duration wait = 10s; // after this signal, before the next step; after the last step comes SIGKILL
    bool operator==(const StopStep&) const = default;
};

struct Stop {
    std::vector<StopStep> sequence{StopStep{}}; // never empty; stop.signal and stop.timeout are a sequence of one
    KillMode kill_mode = KillMode::tree;
    bool operator==(const Stop&) const = default;
};

// Where one output stream of a program goes.
struct Output {
    enum class Kind : std::uint8_t {
        file,
        null,
        inherit,  // keepd's own stream
        to_stdout // stderr only: where stdout goes
    };
    Kind kind = Kind::file;
    std::string path;                    // file: absolute, {name} and {instance} expanded; else empty
    std::uint64_t max_size = 50'000'000; // bytes; rotate when a file would grow beyond it; 0 = never
    std::uint32_t max_files = 10;        // the live file and its rotated predecessors, >= 1
    bool operator==(const Output&) const = default;
};

// A resource limit; `infinity` is RLIM_INFINITY.
struct Limit {
    static constexpr std::uint64_t infinity = std::numeric_limits<std::uint64_t>::max();
    std::uint64_t soft = infinity;
    std::uint64_t hard = infinity;
    bool operator==(const Limit&) const = default;
};

// A user as found when the config was read, so that no start waits for a name service.
struct Identity {
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::vector<std::uint32_t> groups; // supplementary, of the user's own
    std::string user;                  // for USER, LOGNAME
    std::string home;
    std::string shell;
    bool operator==(const Identity&) const = default;
};

struct EnvFile {
    std::string path;
    bool optional = false; // was written with a leading '-'
    bool operator==(const EnvFile&) const = default;
};

// Which variables of keepd's environment (at its first start) a program gets.
struct EnvInherit {
    bool all = false;
    std::vector<std::string> names{"PATH", "LANG", "TZ"};
    bool operator==(const EnvInherit&) const = default;
};

// One program as it is to run; one for each instance.
struct Program {
    std::string name;              // full: "web", or "web@2" of a program with instances
    std::string base;              // the key in `programs`
    int instance = 0;              // 1.. where `instances` was given and is not 1; else 0
    std::vector<std::string> argv; // what is executed; "/bin/sh", "-c", TEXT with `shell`. argv[0] as written
    std::string executable;        // absolute path of the file to execute, looked up when the config was read
    bool shell = false;
    std::string description;
    Type type = Type::simple;
    bool autostart = true;
    std::string working_dir = "/";
    std::map<std::string, std::optional<std::string>> environment; // nothing: remove the variable
    std::vector<EnvFile> env_files;                                // `env_file`
    EnvInherit env_inherit;
    std::optional<Identity> identity; // of `user` and `group`; nothing: keepd's own
    std::uint32_t umask = 0022;
    Restart restart;
    Stop stop;
    Output out;                                              // `stdout`
    Output err{Output::Kind::to_stdout, {}, 50'000'000, 10}; // `stderr`
    std::map<std::string, Limit> limits;                     // lower-case name without RLIMIT_: "nofile"
    std::optional<int> nice;
    std::optional<int> oom_score_adjust;
    bool no_new_privileges = false;
    int parent_death_signal = 0; // 0: none
    bool operator==(const Program&) const = default;
};

enum class LogLevel : std::uint8_t { debug, info, warning, error };

// keepd's own log.
struct Log {
    LogLevel level = LogLevel::info;
    std::string target = "auto"; // "auto", "journal", "stderr", or an absolute path
    bool operator==(const Log&) const = default;
};

struct Control {
    std::string path; // of the socket; default RUNTIME_DIR/control.sock
    std::uint32_t mode = 0660;
    std::optional<std::uint32_t> group; // gid of the socket file
    bool operator==(const Control&) const = default;
};

struct Upgrade {
    std::string binary;        // empty: the path keepd was started by
    bool watch_binary = false; // upgrade by itself when another file lies at that path
    Duration rehearsal_timeout = 10s;
    Duration commit_timeout = 15s; // from the exec to the new image's commit; then the old one comes back
    Duration min_interval = 10s;   // between upgrades that no operator's keepctl asked for (signals, the watch)
    bool operator==(const Upgrade&) const = default;
};

// keepd's own settings.
struct Daemon {
    std::string config_path; // absolute path of the main file
    Log log;
    std::string log_dir;
    std::string state_dir;
    std::string runtime_dir;
    Control control;
    Duration shutdown_timeout = 60s;
    bool subreaper = true;
    Upgrade upgrade;
    bool operator==(const Daemon&) const = default;
};

struct Plan {
    Daemon daemon;
    std::map<std::string, Program> programs; // by full name
    bool operator==(const Plan&) const = default;
};

} // namespace keepd::config
