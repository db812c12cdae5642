// Every field of the config: which name and which reach a change of it has in a reload.
#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <memory>

#include "daemon/core/field_diff.hpp"
#include "daemon/core/plan_diff.hpp"
#include "daemon/core/step.hpp"

using namespace keepd::core;
using namespace std::chrono_literals;
namespace config = keepd::config;

namespace {

// How many members the structs have that the tables below cover: a new field fails to compile here until the binding
// names it. Then give it its line in the tables, and its place in daemon/core/field_diff.cpp.
[[maybe_unused]] void every_field_has_a_line(const config::Plan& plan, const config::Program& program,
                                             const config::StopStep& step, const config::Limit& limit,
                                             const config::Identity& identity, const config::EnvFile& file,
                                             const config::ExitMatch& match) {
    [[maybe_unused]] const auto& [a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, inherit, a14, a15, restart, stop,
                                  output, a19, a20, a21, a22, a23, a24] = program;
    [[maybe_unused]] const auto& [b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12, b13] = restart;
    [[maybe_unused]] const auto& [c1, c2] = stop;
    [[maybe_unused]] const auto& [d1, d2] = step;
    [[maybe_unused]] const auto& [e1, e2, e3, e4] = output;
    [[maybe_unused]] const auto& [f1, f2] = limit;
    [[maybe_unused]] const auto& [g1, g2, g3, g4, g5, g6] = identity;
    [[maybe_unused]] const auto& [h1, h2] = file;
    [[maybe_unused]] const auto& [i1, i2] = inherit;
    [[maybe_unused]] const auto& [j1, j2] = match;
    [[maybe_unused]] const auto& [daemon, programs] = plan;
    [[maybe_unused]] const auto& [k1, log, k3, k4, k5, control, k7, k8, upgrade] = daemon;
    [[maybe_unused]] const auto& [l1, l2] = log;
    [[maybe_unused]] const auto& [m1, m2, m3] = control;
    [[maybe_unused]] const auto& [n1, n2, n3, n4, n5] = upgrade;
}

template <typename Config>
struct Row {
    std::string field;
    Reach reach;
    std::string from, to;
    std::function<void(Config&)> change;
};

using P = config::Program;
using D = config::Daemon;
constexpr auto R = Reach::restart;
constexpr auto L = Reach::live;
constexpr auto N = Reach::next_start;

config::Program base_program() {
    config::Program program;
    program.name = program.base = "web";
    program.argv = {"web", "-v"};
    program.executable = "/bin/web";
    program.environment = {{"A", "1"}, {"B", std::nullopt}};
    program.identity = config::Identity{33, 33, {33}, "www-data", "/var/www", "/bin/sh"};
    program.limits = {{"nofile", {1024, 2048}}};
    program.out.path = "/log/web";
    program.err = {config::Output::Kind::file, "/log/err"};
    return program;
}

const std::vector<Row<P>> program_rows{
    {"name", R, R"("web")", R"("x")", [](P& p) { p.name = "x"; }},
    {"base", R, R"("web")", R"("x")", [](P& p) { p.base = "x"; }},
    {"instance", R, "0", "2", [](P& p) { p.instance = 2; }},
    {"command", R, R"(["web", "-v"])", R"(["web", "\"a\\b\n"])", [](P& p) { p.argv[1] = "\"a\\b\n"; }},
    {"command", R, R"("/bin/web")", R"("/opt/web")", [](P& p) { p.executable = "/opt/web"; }},
    {"shell", R, "false", "true", [](P& p) { p.shell = true; }},
    {"description", L, R"("")", R"("x")", [](P& p) { p.description = "x"; }},
    {"type", R, R"("simple")", R"("oneshot")", [](P& p) { p.type = config::Type::oneshot; }},
    {"autostart", L, "true", "false", [](P& p) { p.autostart = false; }},
    {"working_dir", R, R"("/")", R"("/x")", [](P& p) { p.working_dir = "/x"; }},
    {"environment.A", R, R"("1")", R"("2")", [](P& p) { p.environment["A"] = "2"; }},
    {"environment.A", R, R"("1")", "null", [](P& p) { p.environment["A"] = std::nullopt; }},
    {"environment.A", R, R"("1")", "absent", [](P& p) { p.environment.erase("A"); }},
    {"environment.C", R, "absent", R"("3")", [](P& p) { p.environment["C"] = "3"; }},
    {"env_file", R, "[]", R"(["/e"])", [](P& p) { p.env_files = {{"/e", false}}; }},
    {"env_file", R, "[]", R"(["-/e"])", [](P& p) { p.env_files = {{"/e", true}}; }},
    {"env_inherit", R, R"(["PATH", "LANG", "TZ"])", "true", [](P& p) { p.env_inherit.all = true; }},
    {"env_inherit", R, R"(["PATH", "LANG", "TZ"])", R"(["PATH"])", [](P& p) { p.env_inherit.names = {"PATH"}; }},
    {"user", R, R"("www-data")", "absent", [](P& p) { p.identity.reset(); }},
    {"user", R, R"("www-data")", R"("bob")",
     [](P& p) { p.identity = config::Identity{7, 7, {}, "bob", "/home/bob", "/bin/sh"}; }},
    {"user", R, R"("www-data")", R"("www-data")", [](P& p) { p.identity->uid = 34; }},
    {"user", R, R"("www-data")", R"("www-data")", [](P& p) { p.identity->groups.push_back(4); }},
    {"user", R, R"("www-data")", R"("34")", [](P& p) { p.identity->uid = 34, p.identity->user.clear(); }},
    {"user", R, R"("www-data")", R"("www-data")", [](P& p) { p.identity->home = "/"; }},
    {"user", R, R"("www-data")", R"("www-data")", [](P& p) { p.identity->shell = "/"; }},
    {"group", R, R"("33")", R"("44")", [](P& p) { p.identity->gid = 44; }},
    {"umask", R, R"("0022")", R"("0077")", [](P& p) { p.umask = 0077; }},
    {"restart.policy", L, R"("always")", R"("no")", [](P& p) { p.restart.policy = config::RestartPolicy::no; }},
    {"restart.policy", L, R"("always")", R"("on-failure")",
     [](P& p) { p.restart.policy = config::RestartPolicy::on_failure; }},
    {"restart.policy", L, R"("always")", R"("on-abnormal")",
     [](P& p) { p.restart.policy = config::RestartPolicy::on_abnormal; }},
    {"restart.delay", L, R"("500ms")", R"("1s")", [](P& p) { p.restart.delay = 1s; }},
    {"restart.backoff_factor", L, "2", "1.5", [](P& p) { p.restart.backoff_factor = 1.5; }},
    {"restart.max_delay", L, R"("30s")", R"("1m")", [](P& p) { p.restart.max_delay = 1min; }},
    {"restart.jitter", L, "0.1", "0", [](P& p) { p.restart.jitter = 0; }},
    {"restart.reset_after", L, R"("1m")", R"("1h")", [](P& p) { p.restart.reset_after = 1h; }},
    {"restart.start_limit_burst", L, "10", "0", [](P& p) { p.restart.start_limit_burst = 0; }},
    {"restart.start_limit_interval", L, R"("10m")", R"("1s")", [](P& p) { p.restart.start_limit_interval = 1s; }},
    {"restart.start_limit_action", L, R"("slow")", R"("fail")",
     [](P& p) { p.restart.start_limit_action = config::StartLimitAction::fail; }},
    {"restart.start_limit_action", L, R"("slow")", R"("shutdown")",
     [](P& p) { p.restart.start_limit_action = config::StartLimitAction::shutdown; }},
    {"restart.slow_delay", L, R"("5m")", R"("1s")", [](P& p) { p.restart.slow_delay = 1s; }},
    {"restart.success_exit_codes", L, "[0]", R"([0, "SIGTERM"])",
     [](P& p) { p.restart.success_exit_codes.push_back({config::ExitMatch::Kind::signal, 15}); }},
    {"restart.prevent_exit_codes", L, "[]", "[3]",
     [](P& p) { p.restart.prevent_exit_codes = {{config::ExitMatch::Kind::code, 3}}; }},
    {"restart.force_exit_codes", L, "[]", "[3]",
     [](P& p) { p.restart.force_exit_codes = {{config::ExitMatch::Kind::code, 3}}; }},
    {"stop.signal", L, R"("SIGTERM")", R"("SIGINT")", [](P& p) { p.stop.sequence[0].signal = 2; }},
    {"stop.timeout", L, R"("10s")", R"("1s")", [](P& p) { p.stop.sequence[0].wait = 1s; }},
    {"stop.sequence", L, R"([["SIGTERM", "10s"]])", R"([["SIGTERM", "10s"], ["SIGINT", "1s"]])",
     [](P& p) { p.stop.sequence.push_back({2, 1s}); }},
    {"stop.kill_mode", L, R"("tree")", R"("process")", [](P& p) { p.stop.kill_mode = config::KillMode::process; }},
    {"stop.kill_mode", L, R"("tree")", R"("group")", [](P& p) { p.stop.kill_mode = config::KillMode::group; }},
    {"stdout", R, R"("/log/web")", R"("null")", [](P& p) { p.out = {config::Output::Kind::null, {}}; }},
    {"stdout", R, R"("/log/web")", R"("inherit")", [](P& p) { p.out = {config::Output::Kind::inherit, {}}; }},
    {"stdout.path", L, R"("/log/web")", R"("/x")", [](P& p) { p.out.path = "/x"; }},
    {"stdout.max_size", L, "50000000", "1", [](P& p) { p.out.max_size = 1; }},
    {"stdout.max_files", L, "10", "2", [](P& p) { p.out.max_files = 2; }},
    {"stderr", R, R"("/log/err")", R"("stdout")", [](P& p) { p.err.kind = config::Output::Kind::to_stdout; }},
    {"stderr.path", L, R"("/log/err")", R"("/x")", [](P& p) { p.err.path = "/x"; }},
    {"stderr.max_size", L, "50000000", "1", [](P& p) { p.err.max_size = 1; }},
    {"stderr.max_files", L, "10", "2", [](P& p) { p.err.max_files = 2; }},
    {"limits.nofile", R, "[1024, 2048]", "[1024, \"infinity\"]",
     [](P& p) { p.limits["nofile"].hard = config::Limit::infinity; }},
    {"limits.nofile", R, "[1024, 2048]", "2048", [](P& p) { p.limits["nofile"].soft = 2048; }},
    {"limits.core", R, "absent", "\"infinity\"", [](P& p) { p.limits["core"] = {}; }},
    {"limits.nofile", R, "[1024, 2048]", "absent", [](P& p) { p.limits.clear(); }},
    {"nice", R, "absent", "-5", [](P& p) { p.nice = -5; }},
    {"oom_score_adjust", R, "absent", "100", [](P& p) { p.oom_score_adjust = 100; }},
    {"no_new_privileges", R, "false", "true", [](P& p) { p.no_new_privileges = true; }},
    {"parent_death_signal", R, "absent", R"("SIGKILL")", [](P& p) { p.parent_death_signal = 9; }},
};

const std::vector<Row<D>> daemon_rows{
    {"config_path", N, R"("")", R"("/c")", [](D& d) { d.config_path = "/c"; }},
    {"log.level", L, R"("info")", R"("debug")", [](D& d) { d.log.level = config::LogLevel::debug; }},
    {"log.level", L, R"("info")", R"("warning")", [](D& d) { d.log.level = config::LogLevel::warning; }},
    {"log.level", L, R"("info")", R"("error")", [](D& d) { d.log.level = config::LogLevel::error; }},
    {"log.target", L, R"("auto")", R"("stderr")", [](D& d) { d.log.target = "stderr"; }},
    {"log_dir", L, R"("")", R"("/l")", [](D& d) { d.log_dir = "/l"; }},
    {"state_dir", N, R"("")", R"("/s")", [](D& d) { d.state_dir = "/s"; }},
    {"runtime_dir", N, R"("")", R"("/r")", [](D& d) { d.runtime_dir = "/r"; }},
    {"control.path", L, R"("")", R"("/sock")", [](D& d) { d.control.path = "/sock"; }},
    {"control.mode", L, R"("0660")", R"("0600")", [](D& d) { d.control.mode = 0600; }},
    {"control.group", L, "absent", "5", [](D& d) { d.control.group = 5; }},
    {"shutdown_timeout", L, R"("1m")", R"("1s")", [](D& d) { d.shutdown_timeout = 1s; }},
    {"subreaper", L, "true", "false", [](D& d) { d.subreaper = false; }},
    {"upgrade.binary", L, R"("")", R"("/k")", [](D& d) { d.upgrade.binary = "/k"; }},
    {"upgrade.commit_timeout", L, R"("15s")", R"("1s")", [](D& d) { d.upgrade.commit_timeout = 1s; }},
    {"upgrade.watch_binary", L, "false", "true", [](D& d) { d.upgrade.watch_binary = true; }},
    {"upgrade.rehearsal_timeout", L, R"("10s")", R"("1s")", [](D& d) { d.upgrade.rehearsal_timeout = 1s; }},
    {"upgrade.min_interval", L, R"("10s")", R"("0s")", [](D& d) { d.upgrade.min_interval = 0s; }},
};

template <typename Config>
void check(const std::vector<Row<Config>>& rows, const Config& base) {
    for (const Row<Config>& row : rows) {
        CAPTURE(row.field);
        CAPTURE(row.to);
        Config changed = base;
        row.change(changed);
        REQUIRE(changed != base);
        const auto fields = changed_fields(base, changed);
        REQUIRE(fields.size() == 1);
        CHECK(fields[0] == FieldChange{row.field, row.reach, row.from, row.to});
        const auto back = changed_fields(changed, base);
        REQUIRE(back.size() == 1);
        CHECK(back[0] == FieldChange{row.field, row.reach, row.to, row.from});
    }
}

State state_with(const std::vector<std::string>& names) {
    auto plan = std::make_shared<config::Plan>();
    for (const std::string& name : names) {
        config::Program program = base_program();
        program.name = program.base = name;
        plan->programs[name] = program;
    }
    State state;
    step(state, PlanLoaded{plan}, Now{});
    return state;
}

config::Plan plan_of(const State& state) {
    config::Plan plan;
    plan.daemon = state.daemon.settings;
    for (const auto& [name, program] : state.programs)
        plan.programs[name] = program.spec;
    return plan;
}

} // namespace

TEST_CASE("each field of a program is reported by its name, with what a change of it does") {
    check(program_rows, base_program());
}

TEST_CASE("each of keepd's own settings is reported by its name, with what a change of it does") {
    check(daemon_rows, config::Daemon{});
}

TEST_CASE("fields that change together are reported together, in the order of the config") {
    const config::Program base = base_program();
    config::Program changed = base;
    changed.nice = 5;
    changed.argv = {"other"};
    changed.restart.delay = 9s;
    std::vector<std::string> names;
    for (const FieldChange& field : changed_fields(base, changed))
        names.push_back(field.field);
    CHECK(names == std::vector<std::string>{"command", "restart.delay", "nice"});
}

TEST_CASE("a stream that changes its kind is one change, not three") {
    const config::Program base = base_program();
    config::Program changed = base;
    changed.out = {config::Output::Kind::null, {}, 7, 3};
    const auto fields = changed_fields(base, changed);
    REQUIRE(fields.size() == 1);
    CHECK(fields[0].field == "stdout");
    CHECK(fields[0].reach == Reach::restart);
}

TEST_CASE("an equal plan is an empty diff") {
    const State state = state_with({"a", "b"});
    const PlanDiff plan = diff(state, plan_of(state));
    CHECK(plan.empty());
    CHECK(plan.untouched == 2);
    CHECK(describe(plan, state).empty());
}

TEST_CASE("programs are listed by name, whatever happens to them") {
    const State state = state_with({"b", "c", "d"});
    config::Plan next = plan_of(state);
    next.programs["a"] = base_program();
    next.programs.erase("c");
    next.programs["d"].umask = 0;
    const PlanDiff plan = diff(state, next);
    REQUIRE(plan.programs.size() == 3);
    CHECK(plan.programs[0] == ProgramChange{"a", ProgramChange::Kind::add, {}});
    CHECK(plan.programs[1] == ProgramChange{"c", ProgramChange::Kind::remove, {}});
    CHECK(plan.programs[2].kind == ProgramChange::Kind::change);
    CHECK(plan.programs[2].restarts());
    CHECK(plan.untouched == 1);
    CHECK(describe(plan, state) ==
          std::vector<std::string>{"a: add", "c: remove", R"(d: restart (umask: "0022" -> "0000"))"});
}

TEST_CASE("a reload that is carried out leaves nothing to reload") {
    State state = state_with({"a", "b", "c"});
    config::Plan next = plan_of(state);
    next.programs.erase("a");
    next.programs["b"].argv = {"other"};
    next.programs["c"].restart.delay = 9s;
    next.daemon.shutdown_timeout = 9s;
    step(state, PlanLoaded{std::make_shared<config::Plan>(next)}, Now{});
    CHECK(diff(state, next).empty());
}
