// Checkpoints of released formats are read for ever: tests/golden/README.md.
#include <cstdint>
#include <doctest/doctest.h>

#include <cstdlib>
#include <fcntl.h>
#include <filesystem>

#include "lib/sys/fd.hpp"
#include "tests/host/checkpoint_support.hpp"

using namespace keepd;
using namespace keepd::checkpoint;
using namespace keepd::checkpoint::testing;
using namespace std::chrono_literals;

namespace {

const std::filesystem::path folder = std::filesystem::path(KEEPD_SOURCE_ROOT) / "tests/golden";

core::Time at(core::Duration since_boot) {
    return core::Time(since_boot);
}

// A state that uses each phase, each kind of exit and each optional once. A later release adds a sample of its own and
// leaves this one.
core::State sample() {
    core::State state;
    core::Daemon& daemon = state.daemon;
    daemon.settings.config_path = "/etc/keepd/keepd.json";
    daemon.settings.log = {config::LogLevel::warning, "journal"};
    daemon.settings.log_dir = "/var/log/keepd";
    daemon.settings.state_dir = "/var/lib/keepd";
    daemon.settings.runtime_dir = "/run/keepd";
    daemon.settings.control = {"/run/keepd/control.sock", 0666, 27};
    daemon.settings.upgrade.binary = "/usr/sbin/keepd";
    daemon.stage = core::ShuttingDown{at(90min), true};
    daemon.upgrading = core::Upgrading{at(80min), "/usr/sbin/keepd"};
    daemon.deferred.reload = true;
    daemon.deferred.shutdowns = 1;
    daemon.deferred.upgrade_at = at(81min);
    daemon.generation = 4;
    daemon.next_run = 100;
    daemon.next_notice = 5000;
    daemon.seed = 0x123456789abcdef0;
    daemon.started_at = {1'790'000'000'123'000'000};
    daemon.upgraded_at = core::WallTime{1'790'000'100'000'000'000};
    daemon.last_upgrade_began = at(70min);
    daemon.last_reload =
        core::Outcome{{1'790'000'200'000'000'000}, false, "keepd.json:3:5: /programs: unknown key\nsecond line"};
    daemon.last_upgrade = core::Outcome{{1'790'000'100'000'000'000}, true, "0.1.0 to 0.1.1"};

    const auto add = [&](const std::string& name, core::Phase phase, std::uint64_t run) -> core::Program& {
        core::Program& program = state.programs[name];
        program.spec.name = program.spec.base = name;
        program.spec.argv = {name, "--serve"};
        program.spec.executable = "/usr/bin/" + name;
        program.spec.out.path = "/var/log/keepd/" + name + ".log";
        program.phase = std::move(phase);
        program.run = {run};
        program.goal = core::Goal::up;
        program.since = at(60min);
        program.since_wall = {1'790'000'050'000'000'000};
        return program;
    };
    core::Program& web = add("web@2", core::Running{{41}, 812, at(59min)}, 41);
    web.spec.base = "web";
    web.spec.instance = 2;
    web.spec.description = "a \"web\" server, grün";
    web.spec.environment = {{"KEY", "value"}, {"HOME", std::nullopt}};
    web.spec.env_files = {{"/etc/default/web", true}};
    web.spec.env_inherit = {true, {}};
    web.spec.identity = config::Identity{33, 34, {33, 100}, "www-data", "/var/www", "/usr/sbin/nologin"};
    web.spec.umask = 0027;
    web.spec.restart.policy = config::RestartPolicy::on_abnormal;
    web.spec.restart.success_exit_codes = {{config::ExitMatch::Kind::code, 0}, {config::ExitMatch::Kind::signal, 15}};
    web.spec.restart.backoff_factor = 1.5;
    web.spec.stop = {{{2, 1500ms}, {15, 5s}}, config::KillMode::group};
    web.spec.err = {config::Output::Kind::file, "/var/log/keepd/web.err", 1'000'000, 3};
    web.spec.limits = {{"nofile", {1024, config::Limit::infinity}}, {"core", {0, 0}}};
    web.spec.nice = -5;
    web.spec.oom_score_adjust = 0;
    web.spec.no_new_privileges = true;
    web.spec.parent_death_signal = 9;
    web.restarts = 7;
    web.retry = {2, true, {at(50min), at(55min)}};
    web.last_exit = core::LastExit{
        {40}, core::ExitStatus::signaled(11, true), {1500ms, 20ms, 4096}, 300ms, {1'790'000'040'000'000'000}};
    add("starting", core::Starting{{50}}, 50);
    core::Program& ending =
        add("stopping", core::Stopping{{51}, 813, at(10min), 2, at(61min), false, core::ExitStatus::exited(3)}, 51);
    ending.goal = core::Goal::removed;
    ending.why = {core::Cause::operator_, "by uid 0"};
    add("backoff", core::Backoff{at(62min)}, 52).why = {core::Cause::exit, "exit 1 after 0.3 s"};
    core::Program& done = add("completed", core::Completed{}, 53);
    done.spec.type = config::Type::oneshot;
    done.spec.autostart = false;
    done.last_exit = core::LastExit{{53}, core::ExitStatus::exited(0), {}, 1s, {}};
    add("failed", core::Failed{}, 54).why = {core::Cause::start_limit, ""};
    core::Program& stopped = add("stopped", core::Stopped{}, 0);
    stopped.goal = core::Goal::down;
    stopped.spec.shell = true;
    stopped.spec.argv = {"/bin/sh", "-c", "exec sleep 1"};
    stopped.spec.out.kind = config::Output::Kind::null;
    return state;
}

// For regenerating, by hand only.
bool writes(const char* what) {
    const char* asked = std::getenv("KEEPD_WRITE_GOLDEN");
    return asked && std::string_view(asked) == what;
}

void write(const std::filesystem::path& path, std::string_view bytes) {
    const auto fd = keep::sys::open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    REQUIRE(fd);
    REQUIRE(keep::sys::write_all(fd->get(), bytes));
}

} // namespace

TEST_CASE("the sample of format 1.0 is read, and means what it meant") {
    const std::filesystem::path bin = folder / "checkpoint-1.0.bin", json = folder / "checkpoint-1.0.json";
    if (writes("bin")) {
        auto live = *Live::create({1, 0, "0.1.0", "0000000000000000000000000000000000000000"});
        for (const auto& [key, bytes] : encode(sample()))
            REQUIRE(live.put(key, bytes));
        write(bin, bytes_of(live.sealed_copy({{"handoff", "of another room"}})->get()));
    }
    const auto bytes = keep::sys::read_file(bin);
    REQUIRE(bytes);
    const auto loaded = load(*bytes);
    REQUIRE_MESSAGE(loaded, loaded.error().message);
    CHECK(loaded->header.major == 1);
    CHECK(loaded->header.minor == 0);
    CHECK(loaded->header.writer == "0.1.0");

    const auto state = decode(loaded->records);
    REQUIRE_MESSAGE(state, state.error().message);
    CHECK(*state == sample());

    if (writes("bin") || writes("json")) write(json, to_json(loaded->records));
    CHECK(to_json(loaded->records) == *keep::sys::read_file(json));
}

TEST_CASE("this release writes the sample of format 1.0 as the first one did") {
    const auto loaded = load(*keep::sys::read_file(folder / "checkpoint-1.0.bin"));
    REQUIRE(loaded);
    Records now = encode(sample());
    now["handoff"] = "of another room";
    CHECK(now == loaded->records);
}
