// Good documents, and the plans they mean.
#include <doctest/doctest.h>

#include "config/program.hpp"
#include "tests/config/hermetic_facts.hpp"

using namespace keepd::config;
using namespace keepd::config::testing;

namespace {

Plan plan_of(const std::string& text) {
    auto plan = load_text(text);
    const std::string faults = plan ? "" : listed(plan.error());
    REQUIRE(faults == "");
    return *std::move(plan);
}

// The only program of a plan whose `programs` holds "web" with these fields beside its command.
Program web(const std::string& fields, const std::string& defaults = "{}") {
    const std::string comma = fields.empty() ? "" : ", ";
    Plan plan = plan_of("{\"defaults\": " + defaults + ", \"programs\": {\"web\": {\"command\": [\"nginx\"]" + comma +
                        fields + "}}}");
    REQUIRE(plan.programs.contains("web"));
    return plan.programs.at("web");
}

ExitMatch code(int value) {
    return {ExitMatch::Kind::code, value};
}
ExitMatch signal(int value) {
    return {ExitMatch::Kind::signal, value};
}

} // namespace

TEST_CASE("an empty object is a config: no programs, and root's directories") {
    const Plan plan = plan_of("{}");
    Daemon daemon;
    daemon.config_path = "/etc/keepd/keepd.json";
    daemon.log_dir = "/var/log/keepd";
    daemon.state_dir = "/var/lib/keepd";
    daemon.runtime_dir = "/run/keepd";
    daemon.control.path = "/run/keepd/control.sock";
    CHECK(plan.daemon == daemon);
    CHECK(plan.programs.empty());
}

TEST_CASE("a command alone takes every default of the manual") {
    Program expected;
    expected.name = expected.base = "web";
    expected.argv = {"nginx"};
    expected.executable = "/usr/bin/nginx";
    expected.out.path = "/var/log/keepd/web.log";
    CHECK(web("") == expected);
    CHECK(expected.restart.policy == RestartPolicy::always);
    CHECK(expected.restart.delay == 500ms);
    CHECK(expected.restart.max_delay == 30s);
    CHECK(expected.restart.start_limit_interval == 10min);
    CHECK(expected.stop.sequence == std::vector<StopStep>{{15, 10s}});
    CHECK(expected.err.kind == Output::Kind::to_stdout);
    CHECK(expected.env_inherit.names == std::vector<std::string>{"PATH", "LANG", "TZ"});
}

TEST_CASE("every field of keepd's own is read") {
    const Plan plan = plan_of(R"({
        "version": 1,
        "log": {"level": "debug", "target": "/var/log/keepd/keepd.log"},
        "log_dir": "/srv//log/", "state_dir": "/srv/state", "runtime_dir": "/srv/./run",
        "control": {"path": "/srv/ctl", "mode": "0600", "group": "adm"},
        "shutdown_timeout": "2m", "subreaper": false,
        "upgrade": {"binary": "/opt/keepd", "watch_binary": true, "rehearsal_timeout": 2.5, "commit_timeout": "4s", "min_interval": "0s"},
        "x-owner": {"anything": [1, {"a": null}]}
    })");
    Daemon daemon;
    daemon.config_path = "/etc/keepd/keepd.json";
    daemon.log = {LogLevel::debug, "/var/log/keepd/keepd.log"};
    daemon.log_dir = "/srv/log";
    daemon.state_dir = "/srv/state";
    daemon.runtime_dir = "/srv/run";
    daemon.control = {"/srv/ctl", 0600, 4};
    daemon.shutdown_timeout = 2min;
    daemon.subreaper = false;
    daemon.upgrade = {"/opt/keepd", true, 2500ms, 4s, 0s};
    CHECK(plan.daemon == daemon);
}

TEST_CASE("the control socket follows the runtime directory") {
    CHECK(plan_of(R"({"runtime_dir": "/srv/run"})").daemon.control.path == "/srv/run/control.sock");
}

TEST_CASE("every field of a program is read") {
    const Program program = web(R"(
        "description": "the web", "type": "oneshot", "autostart": false, "working_dir": "/srv",
        "environment": {"A": "1", "B": null}, "env_file": ["/etc/default/web", "-/etc/default/more"],
        "env_inherit": ["PATH"], "user": "alice", "group": "adm", "umask": "077",
        "restart": {"policy": "on-abnormal", "delay": 0, "backoff_factor": 1.5, "max_delay": "1m30s", "jitter": 0,
                    "reset_after": "1.5s", "start_limit_burst": 0, "start_limit_interval": "1h",
                    "start_limit_action": "shutdown", "slow_delay": "1d", "success_exit_codes": [0, 2, "SIGTERM"],
                    "prevent_exit_codes": [78], "force_exit_codes": ["HUP", 1e0]},
        "stop": {"sequence": [["INT", 5], ["SIGQUIT", "500ms"]], "kill_mode": "process"},
        "stdout": {"path": "/srv/{name}.out", "max_size": "1MiB", "max_files": 3}, "stderr": "inherit",
        "limits": {"nofile": [1024, 65536], "core": "infinity", "as": 1073741824}, "nice": -5,
        "oom_score_adjust": 500, "no_new_privileges": true, "parent_death_signal": 9)");
    Program expected;
    expected.name = expected.base = "web";
    expected.argv = {"nginx"};
    expected.executable = "/usr/bin/nginx";
    expected.description = "the web";
    expected.type = Type::oneshot;
    expected.autostart = false;
    expected.working_dir = "/srv";
    expected.environment = {{"A", "1"}, {"B", std::nullopt}};
    expected.env_files = {{"/etc/default/web", false}, {"/etc/default/more", true}};
    expected.env_inherit = {false, {"PATH"}};
    expected.identity = Identity{1000, 4, {4}, "alice", "/home/alice", "/bin/zsh"};
    expected.umask = 077;
    expected.restart = {RestartPolicy::on_abnormal,
                        0s,
                        1.5,
                        90s,
                        0,
                        1500ms,
                        0,
                        1h,
                        StartLimitAction::shutdown,
                        24h,
                        {code(0), code(2), signal(15)},
                        {code(78)},
                        {signal(1), code(1)}};
    expected.stop = {{{2, 5s}, {3, 500ms}}, KillMode::process};
    expected.out = {Output::Kind::file, "/srv/web.out", 1048576, 3};
    expected.err.kind = Output::Kind::inherit;
    expected.limits = {
        {"nofile", {1024, 65536}}, {"core", {Limit::infinity, Limit::infinity}}, {"as", {1u << 30, 1u << 30}}};
    expected.nice = -5;
    expected.oom_score_adjust = 500;
    expected.no_new_privileges = true;
    expected.parent_death_signal = 9;
    CHECK(program == expected);
}

TEST_CASE("a shell runs one string") {
    const Plan plan = plan_of(R"({"programs": {"job": {"shell": true, "command": "echo ${name} $HOME {name}"}}})");
    const Program& job = plan.programs.at("job");
    CHECK(job.argv == std::vector<std::string>{"/bin/sh", "-c", "echo ${name} $HOME job"});
    CHECK(job.executable == "/bin/sh");
    CHECK(job.shell);
}

TEST_CASE("a oneshot does not restart unless it says so") {
    CHECK(web(R"("type": "oneshot")").restart.policy == RestartPolicy::no);
    CHECK(web(R"("type": "oneshot", "restart": {"delay": "1s"})").restart.policy == RestartPolicy::no);
    CHECK(web(R"("type": "oneshot", "restart": {"policy": "on-failure"})").restart.policy == RestartPolicy::on_failure);
    CHECK(web(R"("type": "simple")", R"({"type": "oneshot"})").restart.policy == RestartPolicy::always);
}

TEST_CASE("a program's value wins over defaults; objects merge by key, lists and scalars replace") {
    const std::string defaults = R"({
        "nice": 5, "restart": {"delay": "1s", "max_delay": "9s", "success_exit_codes": [0, 1]},
        "environment": {"A": "default", "B": "default", "C": "default"}, "env_inherit": ["A", "B"],
        "stdout": {"max_size": 7, "max_files": 2}, "limits": {"core": 0, "nofile": 1024}})";
    const Program program = web(R"(
        "restart": {"delay": "2s", "success_exit_codes": [3]}, "environment": {"B": "own", "C": null},
        "env_inherit": ["C"], "stdout": {"max_files": 4}, "limits": {"nofile": 2048})",
                                defaults);
    CHECK(program.nice == 5);
    CHECK(program.restart.delay == 2s);
    CHECK(program.restart.max_delay == 9s);
    CHECK(program.restart.success_exit_codes == std::vector<ExitMatch>{code(3)});
    CHECK(program.environment.at("A") == "default");
    CHECK(program.environment.at("B") == "own");
    CHECK(program.environment.at("C") == std::nullopt); // a null is the value here: the variable is removed
    CHECK(program.env_inherit.names == std::vector<std::string>{"C"});
    CHECK(program.out.max_size == 7);
    CHECK(program.out.max_files == 4);
    CHECK(program.limits.at("core").soft == 0);
    CHECK(program.limits.at("nofile").soft == 2048);
}

TEST_CASE("null takes the value of defaults, or keepd's own where there is none") {
    const std::string defaults = R"({"nice": 5, "restart": {"delay": "1s"}, "stdout": "null", "umask": null})";
    const Program program = web(R"("nice": null, "restart": {"delay": null}, "stdout": null, "stop": null)", defaults);
    CHECK(program.nice == 5);
    CHECK(program.restart.delay == 1s);
    CHECK(program.out.kind == Output::Kind::null);
    CHECK(program.umask == 0022);
    CHECK(web(R"("restart": null)", defaults).restart.delay == 1s);
    CHECK(plan_of(R"({"log": null, "log_dir": null, "programs": null, "include": null, "control": {"mode": null}})")
              .daemon.control.mode == 0660);
}

TEST_CASE("the command can come from defaults") {
    const Plan plan =
        plan_of(R"({"defaults": {"command": ["serve", "{name}"]}, "programs": {"a": {}, "b": {"command": null}}})");
    CHECK(plan.programs.at("a").argv == std::vector<std::string>{"serve", "a"});
    CHECK(plan.programs.at("b").argv == std::vector<std::string>{"serve", "b"});
}

TEST_CASE("a stream's word replaces the object of defaults, and an object the word") {
    CHECK(web(R"("stdout": "inherit")", R"({"stdout": {"max_size": 1}})").out.kind == Output::Kind::inherit);
    const Program program = web(R"("stdout": {"max_files": 2}, "stderr": {"path": "/srv/err.log"})",
                                R"({"stdout": "null", "stderr": "null"})");
    CHECK(program.out == Output{Output::Kind::file, "/var/log/keepd/web.log", 50'000'000, 2});
    CHECK(program.err == Output{Output::Kind::file, "/srv/err.log", 50'000'000, 10});
}

TEST_CASE("of stop.sequence and stop.signal the nearer one wins") {
    const std::string sequence = R"({"stop": {"sequence": [["INT", "1s"]], "kill_mode": "group"}})";
    CHECK(web("", sequence).stop == Stop{{{2, 1s}}, KillMode::group});
    CHECK(web(R"("stop": {"timeout": "3s"})", sequence).stop == Stop{{{15, 3s}}, KillMode::group});
    CHECK(web(R"("stop": {"sequence": [["QUIT", 1]]})", R"({"stop": {"signal": "INT"}})").stop.sequence ==
          std::vector<StopStep>{{3, 1s}});
    CHECK(web(R"("stop": {"signal": "INT", "sequence": null})").stop.sequence == std::vector<StopStep>{{2, 10s}});
}

TEST_CASE("instances are programs of their own, with their names in their texts") {
    const Plan plan = plan_of(R"({"programs": {"worker": {
        "instances": 2, "command": ["/srv/{name}/run", "--port=80{instance}", "{nam}"], "working_dir": "/srv/{name}",
        "description": "no. {instance}", "environment": {"ME": "{name}"}, "env_file": ["-/srv/{name}.env"],
        "stderr": {"path": "/srv/{name}.err"}}}})");
    REQUIRE(plan.programs.size() == 2);
    const Program& second = plan.programs.at("worker@2");
    CHECK(second.name == "worker@2");
    CHECK(second.base == "worker");
    CHECK(second.instance == 2);
    CHECK(second.argv == std::vector<std::string>{"/srv/worker@2/run", "--port=802", "{nam}"});
    CHECK(second.executable == "/srv/worker@2/run");
    CHECK(second.working_dir == "/srv/worker@2");
    CHECK(second.description == "no. 2");
    CHECK(second.environment.at("ME") == "worker@2");
    CHECK(second.env_files.at(0) == EnvFile{"/srv/worker@2.env", true});
    CHECK(second.out.path == "/var/log/keepd/worker@2.log");
    CHECK(second.err.path == "/srv/worker@2.err");
}

TEST_CASE("one instance has the plain name, and counts as instance 1") {
    const Program program = web(R"("instances": 1, "description": "{name} {instance}")");
    CHECK(program.name == "web");
    CHECK(program.instance == 0);
    CHECK(program.description == "web 1");
}

TEST_CASE("expansion touches its own words only") {
    CHECK(expand("{name}{instance}", "a@1", "1") == "a@11");
    CHECK(expand("{{name}} {name {instance", "a", "1") == "{a} {name {instance");
    CHECK(expand("${name} $ {name} ${instance}", "a", "1") == "${name} $ a ${instance}");
    CHECK(expand("{Name} {} $", "a", "1") == "{Name} {} $");
}

TEST_CASE("env_inherit is all, nothing or a list") {
    CHECK(web(R"("env_inherit": true)").env_inherit.all);
    CHECK(web(R"("env_inherit": false)").env_inherit == EnvInherit{false, {}});
    CHECK(web(R"("env_inherit": [])").env_inherit == EnvInherit{false, {}});
}

TEST_CASE("users and groups are found by name and by number") {
    CHECK(web(R"("user": 33)").identity == Identity{33, 33, {33}, "www-data", "/var/www", "/bin/sh"});
    CHECK(web(R"("user": "33", "group": "adm")").identity->gid == 4);
    CHECK(web(R"("user": 4242, "group": 4243)").identity == Identity{4242, 4243, {4243}, "", "/", "/bin/sh"});
    CHECK(web(R"("group": "adm")").identity == Identity{0, 4, {4}, "root", "/root", "/bin/bash"}); // keepd's own user
}

TEST_CASE("parent_death_signal none undoes the one of defaults") {
    CHECK(web(R"("parent_death_signal": "none")", R"({"parent_death_signal": "KILL"})").parent_death_signal == 0);
}

TEST_CASE("a file is checked for its directory, but keepd makes log_dir itself") {
    const Plan plan = plan_of(R"({"log_dir": "/missing/log", "programs": {
        "a": {"command": ["a"]}, "b": {"command": ["b"], "stdout": {"path": "/missing/log/deep/b.log"}}}})");
    CHECK(plan.programs.at("a").out.path == "/missing/log/a.log");
}

TEST_CASE("a path that merely ends in a number is nobody's rotated file") {
    CHECK(plan_of(R"({"programs": {"a": {"command": ["a"], "stdout": {"path": "/var/log/a"}},
                                   "b": {"command": ["b"], "stdout": {"path": "/var/log/ab1"}},
                                   "c": {"command": ["c"], "stdout": {"path": "/var/log/a.1.log"}},
                                   "d": {"command": ["d"], "stdout": {"path": "/var/log/7"}}}})")
              .programs.size() == 4);
}

TEST_CASE("comments may stand wherever white space may") {
    CHECK(plan_of("// first\n{ /* a */ \"log_dir\" /* b */ : // c\n \"/x\" /**/ } // last").daemon.log_dir == "/x");
}

TEST_CASE("not root: directories of the user") {
    Facts facts = hermetic_facts({{"/users/alice/.config/keepd/keepd.json", "{}"}});
    facts.root = false;
    facts.config_home = "/users/alice/.config";
    facts.state_home = "/users/alice/.local/state";
    facts.runtime_home = "/run/user/1000";
    CHECK(default_path(facts) == "/users/alice/.config/keepd/keepd.json");
    CHECK(default_socket(facts) == "/run/user/1000/keepd/control.sock");
    const auto plan = load(default_path(facts), facts);
    REQUIRE(plan.has_value());
    CHECK(plan->daemon.log_dir == "/users/alice/.local/state/keepd/log");
    CHECK(plan->daemon.state_dir == "/users/alice/.local/state/keepd");
    CHECK(plan->daemon.runtime_dir == "/run/user/1000/keepd");
}

TEST_CASE("a relative path of the config is taken from the current directory") {
    Facts facts = hermetic_facts({{"/srv/app/keepd.json", "{}"}});
    facts.current_dir = "/srv/app";
    for (const char* path : {"keepd.json", "./keepd.json", "/srv/app/keepd.json"}) {
        const auto plan = load(path, facts);
        REQUIRE(plan.has_value());
        CHECK(plan->daemon.config_path == "/srv/app/keepd.json");
    }
}
