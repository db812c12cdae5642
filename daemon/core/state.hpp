// Everything that keepd must still know after it has replaced itself, as one plain value.
//
// A phase is a variant alternative that holds exactly what is true in it. The operator's words for the phases are in
// state_word(): `starting`, `running`, `stopping`, `stopped`, `completed`, `backoff`, `failed`.
//
//   Stopped ──start──► Starting ──Spawned──► Running ──exit──► Backoff ──time──► Starting
//      ▲                   │                   │  └──────────► Completed, Failed
//      └── Stopping ◄──────┴── stop, restart ──┘   (also after an exit, while the run's tree is not empty)
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "config/plan.hpp"
#include "daemon/core/agenda.hpp"
#include "lib/base/exit_status.hpp"
#include "lib/base/time.hpp"

namespace keepd::core {

using keep::Duration;
using keep::ExitStatus;
using keep::ResourceUsage;
using keep::Time;
using keep::WallTime;

// One reading of both clocks per turn of the loop. `wall` is for people; nothing is decided by it.
struct Now {
    Time time;
    WallTime wall;
};

// Identity of one spawn. Never reused, so that a late event of an older run is recognised.
struct RunId {
    std::uint64_t value = 0; // 0: no run
    auto operator<=>(const RunId&) const = default;
};

// Why a program is in its state; the words are VOCABULARY's. `none`: it was started with keepd.
enum class Cause : std::uint8_t { none, exit, signal, spawn_error, start_limit, operator_, reload, shutdown };

struct Why {
    Cause cause = Cause::none;
    std::string detail; // "exit 1 after 0.3 s", "by uid 0", "changed: command"
    bool operator==(const Why&) const = default;
};

// ---- phases ----------------------------------------------------------------------------------------------------

struct Stopped {
    bool operator==(const Stopped&) const = default;
};
// Spawn was ordered; the host answers Spawned or SpawnFailed within the same turn of its loop.
struct Starting {
    RunId run;
    bool operator==(const Starting&) const = default;
};
// The process exists. For a oneshot the word is still `starting` until it exits.
struct Running {
    RunId run;
    int pid = 0;
    Time since;
    bool operator==(const Running&) const = default;
};
// Being ended, rung by rung of stop.sequence, then SIGKILL, repeated. Over when the run's tree is gone.
struct Stopping {
    RunId run;
    int pid = 0;                     // 0: the spawn is not answered yet
    Time since;                      // of the run's start
    std::size_t rung = 0;            // signals sent so far; sequence.size() + 1 and more: SIGKILL was sent
    Time next_at;                    // when the next rung is due
    bool ordered = true;             // false: it ended by itself and its leftovers are being cleared
    std::optional<ExitStatus> ended; // the main process has been reaped; others of its tree are left
    bool operator==(const Stopping&) const = default;
};
// The next automatic start is due at `until`.
struct Backoff {
    Time until;
    bool operator==(const Backoff&) const = default;
};
struct Completed {
    bool operator==(const Completed&) const = default;
};
struct Failed {
    bool operator==(const Failed&) const = default;
};

using Phase = std::variant<Stopped, Starting, Running, Stopping, Backoff, Completed, Failed>;

// What is wanted of a program; phases move towards it.
enum class Goal : std::uint8_t {
    up,
    down,
    removed // no longer in the config: forgotten as soon as it is down
};

// The memory of restarts.
struct Retry {
    int failures = 0;         // consecutive; grows the delay
    bool slow = false;        // the start limit was hit: every slow_delay until healthy or asked
    std::vector<Time> starts; // automatic starts inside the sliding window, oldest first; an empty deque takes 0.6 KiB
    bool operator==(const Retry&) const = default;
};

struct LastExit {
    RunId run;
    ExitStatus status;
    ResourceUsage usage;
    Duration uptime{};
    WallTime at;
    bool operator==(const LastExit&) const = default;
};

struct Program {
    config::Program spec; // effective; what the next start uses
    Phase phase = Stopped{};
    Goal goal = Goal::down;
    Why why;
    Time since; // the phase was entered
    WallTime since_wall;
    RunId run;                  // newest, live or not
    std::uint64_t restarts = 0; // automatic ones, ever
    Retry retry;
    std::optional<LastExit> last_exit;
#ifdef KEEPD_NEXT // of a release that is still to come: daemon/host/next.hpp
    std::string note;
    std::uint32_t weight = 0;
#endif
    bool operator==(const Program&) const = default;
};

// ---- keepd itself ----------------------------------------------------------------------------------------------

// How a reload or an upgrade ended, for status.
struct Outcome {
    WallTime at;
    bool ok = false;
    std::string text;
    bool operator==(const Outcome&) const = default;
};

struct Serving {
    bool operator==(const Serving&) const = default;
};
// Every program is being stopped; what is left at the deadline is killed, and after the grace abandoned by name.
struct ShuttingDown {
    Time deadline;        // of the patience; while killing, of the grace after it
    bool killing = false; // the patience ended, or the operator asked twice
    bool operator==(const ShuttingDown&) const = default;
};
struct Over {
    bool operator==(const Over&) const = default;
};
using Stage = std::variant<Serving, ShuttingDown, Over>;

// Which file it is, and whether it is still as it was: a file of another content has another identity, a file of
// another identity may have the same content.
struct FileIdentity {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::uint64_t size = 0;
    std::int64_t modified_ns = 0;
    std::uint32_t mode = 0; // a file that was refused for its mode or owner is another one once that is mended
    std::uint32_t owner = 0;
    bool operator==(const FileIdentity&) const = default;
};

// A candidate that failed: not tried again until it changes, unless an operator insists.
struct Refused {
    FileIdentity file;
    std::string text; // how it ended
    bool operator==(const Refused&) const = default;
};

// An upgrade that is being rehearsed or carried out. Requests that must wait for its end are kept beside it.
struct Upgrading {
    Time began;
    std::string binary;
    std::optional<FileIdentity> file{}; // what lay there then
    bool operator==(const Upgrading&) const = default;
};
struct Deferred {
    bool reload = false;
    int shutdowns = 0; // 2 or more: at once
    // A SIGUSR2 or another binary, inside upgrade.min_interval or during an upgrade, waits until then.
    std::optional<Time> upgrade_at;
    bool upgrade_if_changed = false; // only the watch asked for it
    bool operator==(const Deferred&) const = default;
};

struct Daemon {
    config::Daemon settings;
    Stage stage = Serving{};
    std::optional<Upgrading> upgrading;
    Deferred deferred;
    std::uint64_t generation = 1; // images that have committed, this one included
    std::uint64_t next_run = 1;
    std::uint64_t next_notice = 1;
    std::uint64_t seed = 0; // of the jitter
    WallTime started_at;
    std::optional<WallTime> upgraded_at;
    std::optional<Time> last_upgrade_began; // for upgrade.min_interval
    std::optional<Outcome> last_reload;
    std::optional<Outcome> last_upgrade;
    std::optional<Outcome> last_adoption;    // of the programs of a keepd that was killed
    std::vector<Refused> refused;            // the newest last; a few
    std::optional<FileIdentity> binary_seen; // what lay at the binary's path when the watch last told; no news any more
#ifdef KEEPD_NEXT
    std::string motto;
#endif
    bool operator==(const Daemon&) const = default;
};

struct State {
    Daemon daemon;
    std::map<std::string, Program> programs; // by full name
    Agenda agenda;                           // derived from the phases; not saved, rebuilt by rebuild_agenda()
    bool operator==(const State& other) const { return daemon == other.daemon && programs == other.programs; }
};

} // namespace keepd::core
