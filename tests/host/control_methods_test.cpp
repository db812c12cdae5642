#include <cerrno>
#include <doctest/doctest.h>

#include "tests/host/control_support.hpp"

using namespace keepd;
using namespace keepd::test;
using nlohmann::json;

TEST_CASE("status tells of keepd and of every program") {
    Office office;
    FakeClient client(office.desk, guest);
    const json reply = client.call("Status").at("parameters");
    CHECK(reply.at("daemon").at("version") == "1.2.3");
    CHECK(reply.at("daemon").at("pid") == 77);
    CHECK(reply.at("daemon").at("uptime_s") == 60.0);
    CHECK(reply.at("daemon").at("counts").at("up") == 2);
    CHECK(reply.at("daemon").at("last_reload").is_null());
    REQUIRE(reply.at("programs").size() == 2);
    const json& web = reply.at("programs")[1];
    CHECK(web.at("name") == "web");
    CHECK(web.at("state") == "running");
    CHECK(web.at("ready") == true);
    CHECK(web.at("pid").is_number());
    CHECK(web.at("exit").is_null());
    CHECK(web.at("memory_bytes") == 4096);
    CHECK(web.at("log").at("stdout").at("bytes") == 12345);
}

TEST_CASE("status of a program that crashed has its exit, and when the next start is due") {
    Office office;
    office.port.end("web", 3);
    FakeClient client(office.desk, guest);
    const json reply = client.call("Status", {{"names", {"web"}}, {"usage", false}});
    const json& web = reply.at("parameters").at("programs").at(0);
    CHECK(web.at("state") == "backoff");
    CHECK(web.at("pid").is_null());
    CHECK(web.at("exit") == json{{"code", 3}});
    CHECK(web.at("next_start_in_s").get<double>() > 0.4);
    CHECK(web.at("memory_bytes").is_null());
}

TEST_CASE("names select programs by name, by base name of instances and by glob") {
    Office office(
        {FakePort::program("web@1"), FakePort::program("web@2"), FakePort::program("worker"), FakePort::program("db")});
    FakeClient client(office.desk, guest);
    const auto selected = [&](const json& names) {
        std::vector<std::string> found;
        const json reply = client.call("Status", {{"names", names}});
        for (const json& program : reply.at("parameters").at("programs"))
            found.push_back(program.at("name"));
        return found;
    };
    using Names = std::vector<std::string>;
    CHECK(selected({"web"}) == Names{"web@1", "web@2"});
    CHECK(selected({"web@2"}) == Names{"web@2"});
    CHECK(selected({"w*"}) == Names{"web@1", "web@2", "worker"});
    CHECK(selected({"db", "web@2", "*"}) == Names{"db", "web@2", "web@1", "worker"});
    CHECK(selected(json::array()).size() == 4);
}

TEST_CASE("a name that is not there is an error with the nearest one, and nothing is done for the others") {
    Office office;
    FakeClient client(office.desk, root);
    const json reply = client.call("Stop", {{"names", {"db", "wbe"}}});
    CHECK(reply.at("error") == "io.keepd.Manager.NoSuchProgram");
    CHECK(reply.at("parameters") == json{{"name", "wbe"}, {"nearest", "web"}});
    CHECK(office.port.orders.empty());
    CHECK(client.call("Status", {{"names", {"x*"}}}).at("parameters") == json{{"name", "x*"}, {"nearest", nullptr}});
}

TEST_CASE("a stop is answered when the program has stopped") {
    Office office;
    FakeClient client(office.desk, root);
    client.ask("Stop", {{"names", {"web"}}});
    CHECK(client.replies().empty());
    office.port.end("db", 0); // of no concern
    CHECK(client.replies().empty());
    office.port.end("web", 0);
    const json reply = client.reply();
    REQUIRE(reply.contains("parameters"));
    const json& result = reply.at("parameters").at("results").at(0);
    CHECK(result.at("name") == "web");
    CHECK(result.at("ok") == true);
    CHECK(result.at("done") == true);
}

TEST_CASE("a request for several programs is answered once, when all are decided") {
    Office office;
    FakeClient client(office.desk, root);
    client.ask("Stop", {{"names", {"web", "db"}}});
    office.port.end("web", 0);
    CHECK(client.replies().empty());
    office.port.end("db", 0);
    CHECK(client.reply().at("parameters").at("results").size() == 2);
}

TEST_CASE("a start that fails says why, and which program") {
    Office office;
    FakeClient client(office.desk, root);
    office.port.end("web", 0);
    office.port.answer_spawns = false;
    client.ask("Start", {{"names", {"web"}}});
    CHECK(client.replies().empty());
    const core::RunId run = core::live_run(office.port.state_.programs.at("web"));
    office.port.submit(core::SpawnFailed{"web", run, "execve '/bin/web': No such file or directory"});
    const json reply = client.reply();
    CHECK(reply.at("error") == "io.keepd.Manager.Failed");
    CHECK(reply.at("parameters").at("reason").get<std::string>().find("web: ") == 0);
    CHECK(reply.at("parameters").at("reason").get<std::string>().find("No such file") != std::string::npos);
}

TEST_CASE("without waiting the answer comes at once and does not claim that it is done") {
    Office office;
    FakeClient client(office.desk, root);
    const json reply = client.call("Stop", {{"names", {"web"}}, {"wait", false}});
    CHECK(reply.at("parameters").at("results").at(0).at("done") == false);
    CHECK_FALSE(office.port.orders.empty());
}

TEST_CASE("a restart is answered by the new run, not by the old one") {
    Office office;
    FakeClient client(office.desk, root);
    const auto run = office.port.state_.programs.at("web").run;
    client.ask("Restart", {{"names", {"web"}}});
    CHECK(client.replies().empty());
    office.port.end("web", 0);
    CHECK(client.reply().at("parameters").at("results").at(0).at("ok") == true);
    CHECK(office.port.state_.programs.at("web").run > run);
}

TEST_CASE("who is neither root nor keepd's own user may look, and change nothing") {
    Office office;
    const json name = {{"names", {"web"}}};
    const json signal = {{"names", {"web"}}, {"signal", "HUP"}};
    const std::vector<std::pair<std::string, json>> changes = {
        {"Start", name}, {"Stop", name},   {"Restart", name},  {"Signal", signal}, {"Reload", {}},
        {"Upgrade", {}}, {"Shutdown", {}}, {"ReopenLogs", {}}, {"Checkpoint", {}},
    };
    for (const auto& [method, parameters] : changes) {
        CAPTURE(method);
        FakeClient client(office.desk, guest);
        const json reply = client.call(method, parameters.is_null() ? json::object() : parameters);
        CHECK(reply.at("error") == "org.varlink.service.PermissionDenied");
    }
    CHECK(office.port.orders.empty());
    CHECK(office.port.upgrades.empty());
    CHECK(office.port.reopened == 0);
    for (const char* method : {"Status", "LogFiles", "Events"}) {
        FakeClient client(office.desk, guest);
        CHECK_FALSE(client.call(method).contains("error"));
    }
    FakeClient own(office.desk, owner);
    CHECK_FALSE(own.call("ReopenLogs").contains("error"));
    CHECK(office.port.reopened == 1);
}

TEST_CASE("parameters that are wrong, missing or unknown are named, and nothing is done") {
    Office office;
    FakeClient client(office.desk, root);
    const auto wrong = [&](const char* method, const json& parameters) {
        const json reply = client.call(method, parameters);
        CHECK(reply.at("error") == "org.varlink.service.InvalidParameter");
        return reply.at("parameters").at("parameter").get<std::string>();
    };
    CHECK(wrong("Stop", json::object()) == "names");
    CHECK(wrong("Stop", {{"names", json::array()}}) == "names");
    CHECK(wrong("Stop", {{"names", "web"}}) == "names");
    CHECK(wrong("Stop", {{"names", {"web", 1}}}) == "names");
    CHECK(wrong("Stop", {{"names", {"web"}}, {"wait", 1}}) == "wait");
    CHECK(wrong("Stop", {{"names", {"web"}}, {"wiat", true}}) == "wiat");
    CHECK(wrong("Signal", {{"names", {"web"}}, {"signal", "FOO"}}) == "signal");
    CHECK(wrong("Events", {{"since", -1}}) == "since");
    CHECK(wrong("Upgrade", {{"binary", 7}}) == "binary");
    CHECK(office.port.orders.empty());
}

TEST_CASE("unknown interfaces and methods are told apart") {
    Office office;
    FakeClient client(office.desk, guest);
    CHECK(client.call("org.example.Foo.Bar").at("error") == "org.varlink.service.InterfaceNotFound");
    CHECK(client.call("io.keepd.Manager.Bar").at("error") == "org.varlink.service.MethodNotFound");
    CHECK(client.call("nonsense").at("error") == "org.varlink.service.MethodNotFound");
    client.type(std::string(R"({"method":"io.keepd.Manager.Status","upgrade":true})") + '\0');
    CHECK(client.reply().at("error") == "org.varlink.service.MethodNotImplemented");
}

TEST_CASE("a signal goes to programs that have a process, and the others are named") {
    Office office;
    FakeClient client(office.desk, root);
    office.port.end("db", 0);
    office.port.orders.clear();
    const json reply = client.call("Signal", {{"names", {"web", "db"}}, {"signal", "USR1"}});
    CHECK(reply.at("error") == "io.keepd.Manager.Failed");
    CHECK(reply.at("parameters").at("reason") == "db: has no process");
    CHECK(office.port.orders == std::vector<std::string>{"signal web SIGUSR1"});
}

TEST_CASE("a dry run tells the plan and changes nothing") {
    Office office;
    FakeClient client(office.desk, root);
    office.port.config.programs.at("web").argv = {"/bin/web", "--other"};
    office.port.config.programs.erase("db");
    const json plan = client.call("Reload", {{"dry_run", true}}).at("parameters").at("plan");
    CHECK(plan.at("programs").size() == 2);
    CHECK(plan.at("programs")[0].at("kind") == "remove");
    CHECK(plan.at("programs")[1].at("restarts") == true);
    CHECK(plan.at("programs")[1].at("fields")[0].at("field") == "command");
    CHECK(office.port.orders.empty());
    CHECK_FALSE(office.port.state_.daemon.last_reload);
}

TEST_CASE("a reload is answered with its plan when what it left has settled") {
    Office office;
    FakeClient client(office.desk, root);
    office.port.config.programs.at("web").argv = {"/bin/web", "--other"};
    client.ask("Reload");
    CHECK(client.replies().empty());
    office.port.end("web", 0);
    const json reply = client.reply().at("parameters");
    CHECK(reply.at("plan").at("programs").size() == 1);
    CHECK(reply.at("plan").at("untouched") == 1);
    CHECK(reply.at("results").at(0).at("name") == "web");
}

TEST_CASE("a reload that changes nothing is answered at once") {
    Office office;
    FakeClient client(office.desk, root);
    const json reply = client.call("Reload").at("parameters");
    CHECK(reply.at("plan").at("programs").empty());
    CHECK(reply.at("results").empty());
}

TEST_CASE("a wrong config is told with every fault, changes nothing and shows in status") {
    Office office;
    FakeClient client(office.desk, root);
    office.port.config_faults = {"a.json:1:2: /programs: one", "a.json:3:4: /log: two"};
    const json dry = client.call("Reload", {{"dry_run", true}});
    CHECK(dry.at("error") == "io.keepd.Manager.ConfigWrong");
    CHECK_FALSE(office.port.state_.daemon.last_reload);
    const json reply = client.call("Reload");
    CHECK(reply.at("error") == "io.keepd.Manager.ConfigWrong");
    CHECK(reply.at("parameters").at("faults") == office.port.config_faults);
    CHECK(office.port.orders.empty());
    CHECK(client.call("Status").at("parameters").at("daemon").at("last_reload").at("ok") == false);
}

TEST_CASE("a reload during an upgrade is answered when it was carried out, after the upgrade") {
    Office office;
    FakeClient upgrader(office.desk, root);
    FakeClient client(office.desk, root);
    upgrader.ask("Upgrade");
    const config::Plan before = office.port.config;
    office.port.config.programs.erase("db");
    client.ask("Reload");
    CHECK(client.replies().empty());
    CHECK(office.port.state_.programs.contains("db"));
    SUBCASE("and the config holds") {
        office.port.upgrade_ended(false, 1, "the rehearsal failed", false);
        CHECK(client.replies().empty()); // db is being stopped
        office.port.end("db", 0);
        const json reply = client.reply().at("parameters");
        CHECK(reply.at("results").at(0).at("name") == "db");
        CHECK(reply.at("plan").at("text") == json{"after the upgrade: 1 removed, 1 untouched"});
    }
    SUBCASE("and what the file says by then counts") {
        office.port.config = before;
        office.port.upgrade_ended(false, 1, "the rehearsal failed", false);
        CHECK(client.reply().at("parameters").at("plan").at("text") == json{"after the upgrade: 2 untouched"});
    }
    SUBCASE("and the config has become wrong") {
        office.port.config_faults = {"a.json:1:1: : gone"};
        office.port.upgrade_ended(false, 1, "the rehearsal failed", false);
        CHECK(client.reply().at("error") == "io.keepd.Manager.ConfigWrong");
    }
    SUBCASE("unless keepd is told to shut down first") {
        office.port.submit(core::ShutdownAsked{"SIGTERM"});
        office.port.upgrade_ended(false, 1, "the rehearsal failed", false);
        CHECK(client.reply().at("error") == "io.keepd.Manager.Refused");
    }
}

TEST_CASE("an upgrade is answered by how it ended") {
    Office office;
    FakeClient client(office.desk, root);
    client.ask("Upgrade", {{"binary", "/tmp/keepd"}, {"force", true}});
    CHECK(client.replies().empty());
    REQUIRE(office.port.upgrades.size() == 1);
    CHECK(office.port.upgrades[0].binary == "/tmp/keepd");
    CHECK(office.port.upgrades[0].force);
    CHECK(office.port.upgrades[0].uid == 0);
    SUBCASE("done") {
        office.port.build_id = "bbbb";
        office.port.upgrade_ended(true, 0, "upgraded", true);
        const json reply = client.reply().at("parameters");
        CHECK(reply.at("replaced") == true);
        CHECK(reply.at("from").at("build_id") == "aaaa");
        CHECK(reply.at("to").at("build_id") == "bbbb");
        CHECK(reply.at("generation") == 2);
        CHECK(reply.at("untouched") == 2);
    }
    SUBCASE("failed") {
        office.port.upgrade_ended(false, 1, "the rehearsal timed out", false);
        const json reply = client.reply();
        CHECK(reply.at("error") == "io.keepd.Manager.Failed");
        CHECK(reply.at("parameters").at("reason") == "the rehearsal timed out");
    }
    SUBCASE("refused") {
        office.port.upgrade_ended(false, 4, "not an ELF file", false);
        CHECK(client.reply().at("error") == "io.keepd.Manager.Refused");
    }
}

TEST_CASE("an upgrade only if something has changed is neither forced nor a rehearsal") {
    Office office;
    FakeClient client(office.desk, root);
    for (const char* other : {"force", "rehearse_only"})
        CHECK(client.call("Upgrade", {{"if_changed", true}, {other, true}}).at("parameters") ==
              json{{"parameter", "if_changed"}});
    CHECK(office.port.upgrades.empty());
    client.ask("Upgrade", {{"if_changed", true}});
    REQUIRE(office.port.upgrades.size() == 1);
    CHECK(office.port.upgrades[0].if_changed);
}

TEST_CASE("a second upgrade is told busy, another error refused") {
    Office office;
    FakeClient first(office.desk, root);
    FakeClient second(office.desk, root);
    first.ask("Upgrade");
    CHECK(second.call("Upgrade").at("error") == "io.keepd.Manager.Busy");
    CHECK(first.replies().empty());
    office.port.upgrade_error = keep::Error{ENOENT, "open '/x': No such file or directory"};
    CHECK(second.call("Upgrade").at("error") == "io.keepd.Manager.Refused");
}

TEST_CASE("an upgrade that ends before it has quite begun is answered once") {
    Office office;
    FakeClient client(office.desk, root);
    office.port.upgrade_ends_at_once = true;
    CHECK(client.call("Upgrade").at("error") == "io.keepd.Manager.Refused");
    CHECK_FALSE(client.call("Status").contains("error")); // and the connection goes on
}

TEST_CASE("a shutdown is answered when everything has stopped, and starts are refused meanwhile") {
    Office office;
    FakeClient client(office.desk, root);
    FakeClient other(office.desk, root);
    client.ask("Shutdown");
    CHECK(other.call("Start", {{"names", {"web"}}}).at("error") == "io.keepd.Manager.Refused");
    CHECK(other.call("Reload").at("error") == "io.keepd.Manager.Refused");
    CHECK(other.call("Upgrade").at("error") == "io.keepd.Manager.Busy");
    office.port.end("web", 0);
    CHECK(client.replies().empty());
    office.port.end("db", 0);
    CHECK(client.reply() == json{{"parameters", json::object()}});
    CHECK(office.port.orders.back() == "quit 0");
}

TEST_CASE("a start that waits is told when keepd begins to shut down") {
    Office office;
    FakeClient client(office.desk, root);
    office.port.end("web", 0);
    office.port.answer_spawns = false;
    client.ask("Start", {{"names", {"web"}}});
    CHECK(client.replies().empty());
    office.port.submit(core::ShutdownAsked{"SIGTERM"});
    CHECK(client.reply().at("error") == "io.keepd.Manager.Failed");
}

TEST_CASE("log files are named with their streams") {
    Office office;
    FakeClient client(office.desk, guest);
    const json files = client.call("LogFiles", {{"names", {"web"}}}).at("parameters").at("files");
    REQUIRE(files.size() == 2);
    CHECK(files[0] == json{{"program", "web"},
                           {"stream", "stdout"},
                           {"kind", "file"},
                           {"path", "/var/log/keepd/web.log"},
                           {"max_files", 10}});
    CHECK(files[1].at("kind") == "to_stdout");
}

TEST_CASE("the checkpoint is shown to who may change things") {
    Office office;
    FakeClient client(office.desk, root);
    CHECK(client.call("Checkpoint").at("parameters").at("checkpoint").at("daemon").at("generation") == 1);
}
