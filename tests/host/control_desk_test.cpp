#include <cstdint>
#include <doctest/doctest.h>

#include "tests/host/control_support.hpp"

using namespace keepd;
using namespace keepd::test;
using nlohmann::json;

namespace {

std::string message(const std::string& text) {
    return text + '\0';
}

core::Notice notice(std::uint64_t number) {
    core::Notice notice;
    notice.number = number;
    notice.text = "event " + std::to_string(number);
    return notice;
}

std::vector<std::uint64_t> numbers(const json& reply) {
    std::vector<std::uint64_t> found;
    for (const json& event : reply.at("parameters").at("events"))
        found.push_back(event.at("number"));
    return found;
}

using Numbers = std::vector<std::uint64_t>;

} // namespace

TEST_CASE("pipelined requests are served in order, and one that waits holds up those behind it") {
    Office office;
    FakeClient client(office.desk, root);
    client.type(message(R"({"method":"org.varlink.service.GetInfo"})") +
                message(R"({"method":"io.keepd.Manager.Stop","parameters":{"names":["web"]}})") +
                message(R"({"method":"io.keepd.Manager.ReopenLogs"})"));
    CHECK(client.reply().at("parameters").contains("interfaces"));
    CHECK(office.port.reopened == 0);
    office.port.end("web", 0);
    CHECK(client.reply().at("parameters").contains("results"));
    CHECK(office.port.reopened == 0); // the host's call serves nobody: the loop's next turn does
    CHECK(client.conversation().wants_turn());
    client.turn();
    CHECK(office.port.reopened == 1);
    CHECK(client.reply() == json{{"parameters", json::object()}});
}

TEST_CASE("oneway requests are carried out without any reply, errors included") {
    Office office;
    FakeClient client(office.desk, root);
    client.ask("Stop", {{"names", {"web"}}}, false, true);
    CHECK_FALSE(office.port.orders.empty());
    client.ask("Stop", {{"names", {"nobody"}}}, false, true);
    client.ask("Nonsense", json::object(), false, true);
    client.ask("Events", json::object(), true, true);
    office.port.end("web", 0);
    CHECK(client.replies().empty());
    client.ask("ReopenLogs");
    CHECK(client.replies().size() == 1);
}

TEST_CASE("malformed requests are answered with what is wrong, and the connection ends") {
    Office office;
    FakeClient client(office.desk, root);
    client.type(message("{nonsense") + message(R"({"method":"io.keepd.Manager.ReopenLogs"})"));
    const json reply = client.replies().at(0);
    CHECK(reply.at("error") == "org.varlink.service.InvalidParameter");
    CHECK(reply.at("parameters").at("parameter") == "(request: not JSON)");
    CHECK(client.closed());
    CHECK(office.port.reopened == 0);
}

TEST_CASE("a request beyond the limit is an error, and the connection ends") {
    Office office({}, {.request = 100});
    FakeClient client(office.desk, root);
    SUBCASE("that does not end") {
        client.type(std::string(99, ' '));
        CHECK_FALSE(client.closed());
        client.type(" ");
    }
    SUBCASE("that came at once") {
        client.type(std::string(200, ' ') + '\0');
    }
    SUBCASE("behind one that fits") {
        client.type(message(R"({"method":"org.varlink.service.GetInfo"})") + std::string(200, ' '));
        CHECK(client.replies().size() == 2);
        CHECK(client.closed());
        return;
    }
    CHECK(client.reply().at("error") == "org.varlink.service.InvalidParameter");
    CHECK(client.closed());
}

TEST_CASE("a client that does not read is served no further, and goes on when it reads") {
    Office office({}, {.unread_output = 1000});
    FakeClient client(office.desk, guest);
    std::string requests;
    for (int i = 0; i < 50; ++i)
        requests += message(R"({"method":"org.varlink.service.GetInfo"})");
    client.type(requests);
    std::size_t served = client.replies().size();
    CHECK(served < 50);
    while (client.conversation().wants_turn()) {
        client.turn();
        const std::size_t more = client.replies().size();
        REQUIRE(more > 0);
        served += more;
    }
    CHECK(served == 50);
}

TEST_CASE("one client does not keep the others waiting") {
    Office office({}, {.requests_per_turn = 3});
    FakeClient client(office.desk, guest);
    std::string requests;
    for (int i = 0; i < 10; ++i)
        requests += message(R"({"method":"org.varlink.service.GetInfo"})");
    client.type(requests);
    CHECK(client.replies().size() == 3);
    CHECK(client.conversation().wants_turn());
}

TEST_CASE("a follower that does not read is dropped at the limit, others go on") {
    Office office({}, {.output = 5000});
    FakeClient slow(office.desk, guest);
    FakeClient quick(office.desk, guest);
    slow.ask("Events", json::object(), true);
    quick.ask("Events", json::object(), true);
    std::size_t got = quick.replies().size() - 1;
    for (std::uint64_t i = 100; i < 200; ++i) {
        office.desk.announce(notice(i));
        got += quick.replies().size();
    }
    CHECK(slow.closed());
    CHECK_FALSE(quick.closed());
    CHECK(got == 100);
}

TEST_CASE("what all clients together leave unread is bounded") {
    Office office({}, {.all_output = 20000});
    std::vector<FakeClient> followers;
    for (int i = 0; i < 10; ++i) {
        followers.emplace_back(office.desk, guest);
        followers.back().ask("Events", json::object(), true);
    }
    for (std::uint64_t i = 100; i < 200; ++i)
        office.desk.announce(notice(i));
    std::size_t all = 0;
    for (const FakeClient& follower : followers)
        all += follower.closed() ? 0 : follower.conversation().unsent_size();
    CHECK(all <= 20000);
}

TEST_CASE("clients are bounded, and those who may only look do not lock out an operator") {
    Office office({}, {.clients = 5, .guests = 3});
    for (int i = 0; i < 3; ++i)
        CHECK(office.desk.admit(guest));
    CHECK_FALSE(office.desk.admit(guest));
    CHECK(office.desk.admit(root));
    const auto last = office.desk.admit(owner);
    REQUIRE(last);
    CHECK_FALSE(office.desk.admit(root));
    office.desk.remove(*last);
    CHECK(office.desk.admit(root));
}

TEST_CASE("recent events are told from a number on, and only as many as are kept") {
    Office office({}, {.notices = 3});
    for (std::uint64_t i = 10; i < 15; ++i)
        office.desk.announce(notice(i));
    FakeClient client(office.desk, guest);
    CHECK(numbers(client.call("Events")) == Numbers{12, 13, 14});
    CHECK(numbers(client.call("Events", {{"since", 14}})) == Numbers{14});
    CHECK(numbers(client.call("Events", {{"since", 15}})).empty());
}

TEST_CASE("a follower gets the recent events it asks for, then each one once") {
    Office office({}, {.notices = 10});
    for (std::uint64_t i = 10; i < 15; ++i)
        office.desk.announce(notice(i));
    FakeClient from_now(office.desk, guest);
    FakeClient from_then(office.desk, guest);
    from_now.ask("Events", json::object(), true);
    from_then.ask("Events", {{"since", 13}}, true);
    json first = from_now.reply();
    CHECK(numbers(first).empty());
    CHECK(first.at("continues") == true);
    CHECK(numbers(from_then.reply()) == Numbers{13, 14});
    office.desk.announce(notice(15));
    CHECK(numbers(from_now.reply()) == Numbers{15});
    const json live = from_then.reply();
    CHECK(numbers(live) == Numbers{15});
    CHECK(live.at("continues") == true);
}

TEST_CASE("an exit is an event with its code") {
    Office office;
    FakeClient client(office.desk, guest);
    client.ask("Events", json::object(), true);
    client.replies();
    office.port.end("web", 7);
    std::size_t exits = 0;
    for (const json& reply : client.replies()) {
        for (const json& event : reply.at("parameters").at("events")) {
            if (event.at("kind") != "exited") continue;
            ++exits;
            CHECK(event.at("program") == "web");
            CHECK(event.at("exit") == json{{"code", 7}});
        }
    }
    CHECK(exits == 1);
}

TEST_CASE("a client that has said everything is let go when it was answered") {
    Office office;
    FakeClient client(office.desk, root);
    client.ask("Stop", {{"names", {"web"}}});
    client.conversation().received_end();
    CHECK_FALSE(client.closed());
    office.port.end("web", 0);
    CHECK_FALSE(client.closed());
    CHECK(client.replies().size() == 1);
    CHECK(client.closed());
}
