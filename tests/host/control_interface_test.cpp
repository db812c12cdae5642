// The interface file is what is served: its syntax, its methods, and the shape of every reply.
#include <doctest/doctest.h>
#include <set>

#include "daemon/control/vocabulary.hpp"
#include "tests/host/control_support.hpp"
#include "tests/host/control_varlink_interface.hpp"

using namespace keepd;
using namespace keepd::test;
using nlohmann::json;

namespace {

// Calls a method, and checks what comes against the interface.
void check_call(const Interface& interface, FakeClient& client, const std::string& method, const json& parameters) {
    CAPTURE(method);
    const json request = parameters.is_null() ? json::object() : parameters;
    CHECK(interface.mismatch(interface.methods.at(method).first, request, method + "(parameters)") == "");
    client.ask(method, request);
    const auto replies = client.replies();
    REQUIRE(!replies.empty());
    for (const json& reply : replies) {
        if (reply.contains("error")) {
            std::string error = reply.at("error");
            error = error.substr(error.rfind('.') + 1);
            REQUIRE_MESSAGE(interface.errors.contains(error), error);
            CHECK(interface.mismatch(interface.errors.at(error), reply.at("parameters"), error) == "");
        } else {
            CHECK(interface.mismatch(interface.methods.at(method).second, reply.at("parameters"), method) == "");
        }
    }
}

} // namespace

TEST_CASE("the interface files are well-formed Varlink") {
    const auto manager = Interface::parse(control::interface_description());
    REQUIRE_MESSAGE(manager, manager.error());
    CHECK(manager->name == control::interface_name);
    const auto service = Interface::parse(control::service_interface_description());
    REQUIRE_MESSAGE(service, service.error());
    CHECK(service->name == control::service_interface_name);
}

TEST_CASE("the checker of the interface finds faults") {
    CHECK_FALSE(Interface::parse("interface a.b\nmethod foo() -> ()\n"));                // lower case
    CHECK_FALSE(Interface::parse("interface a.b\nmethod Foo() -> (a: Unknown)\n"));      // no such type
    CHECK_FALSE(Interface::parse("interface a.b\nmethod Foo(a_: int) -> ()\n"));         // trailing underscore
    CHECK_FALSE(Interface::parse("interface a.b\nmethod Foo(a: int -> ()\n"));           // parenthesis
    CHECK_FALSE(Interface::parse("interface a.b\ntype A (x: int)\nerror A (y: int)\n")); // twice
    CHECK_FALSE(Interface::parse("interface a.b\nmethod Foo(a: ??int) -> ()\n"));
    CHECK_FALSE(Interface::parse("method Foo() -> ()\n"));
}

TEST_CASE("every method of the interface files is served, and no other") {
    std::set<std::string> written;
    for (const std::string_view text : {control::interface_description(), control::service_interface_description()}) {
        const auto interface = Interface::parse(text);
        REQUIRE(interface);
        for (const auto& [method, types] : interface->methods)
            written.insert(interface->name + "." + method);
    }
    std::set<std::string> served;
    for (const control::Served& method : control::served_methods())
        served.insert(std::string(method.name));
    CHECK(served == written);
}

TEST_CASE("the interface is described to who asks") {
    Office office;
    FakeClient client(office.desk, guest);
    for (const std::string_view name : {control::interface_name, control::service_interface_name}) {
        const json reply =
            client.call("org.varlink.service.GetInterfaceDescription", {{"interface", std::string(name)}});
        CHECK(reply.at("parameters").at("description").get<std::string>().find("interface " + std::string(name)) !=
              std::string::npos);
    }
    CHECK(client.call("org.varlink.service.GetInterfaceDescription", {{"interface", "a.b"}}).at("error") ==
          "org.varlink.service.InterfaceNotFound");
    CHECK(client.call("org.varlink.service.GetInfo").at("parameters").at("interfaces") ==
          json{"org.varlink.service", "io.keepd.Manager"});
}

TEST_CASE("every request and reply has the shape that the interface names") {
    const auto interface = Interface::parse(control::interface_description());
    REQUIRE(interface);
    Office office({FakePort::program("web"), FakePort::program("db"), FakePort::oneshot("once")});
    FakeClient client(office.desk, root);
    office.port.end("web", 3);
    office.port.submit(core::Exited{
        "db", core::live_run(office.port.state_.programs.at("db")), keep::ExitStatus::signaled(11, true), {}, true});
    office.port.config.programs.emplace("new", FakePort::program("new"));
    office.port.config.programs.at("web").argv = {"other"};
    check_call(*interface, client, "Reload", {{"dry_run", true}});
    check_call(*interface, client, "Reload", nullptr);
    check_call(*interface, client, "Status", nullptr);
    check_call(*interface, client, "Start", {{"names", {"db"}}});
    check_call(*interface, client, "Start", {{"names", {"nobody"}}});
    check_call(*interface, client, "Restart", {{"names", {"db"}}, {"wait", false}});
    check_call(*interface, client, "Stop", {{"names", {"*"}}, {"wait", false}});
    check_call(*interface, client, "Signal", {{"names", {"db"}}, {"signal", "HUP"}});
    check_call(*interface, client, "Signal", {{"names", {"web"}}, {"signal", "HUP"}});
    check_call(*interface, client, "LogFiles", nullptr);
    check_call(*interface, client, "Events", nullptr);
    check_call(*interface, client, "ReopenLogs", nullptr);
    check_call(*interface, client, "Checkpoint", nullptr);
    check_call(*interface, client, "Upgrade", {{"wait", false}});
    check_call(*interface, client, "Upgrade", nullptr); // busy
    check_call(*interface, client, "Upgrade", {{"if_changed", true}});
    office.port.upgrade_ended(false, 1, "no", false);
    check_call(*interface, client, "Status", nullptr);
    office.port.config_faults = {"a: b"};
    check_call(*interface, client, "Reload", nullptr);
    check_call(*interface, client, "Shutdown", {{"wait", false}});
    check_call(*interface, client, "Reload", nullptr); // refused or wrong
}
