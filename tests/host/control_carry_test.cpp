// What clients had begun goes on in the image after an upgrade.
#include <cstdint>
#include <doctest/doctest.h>

#include "daemon/checkpoint/codec.hpp"
#include "daemon/checkpoint/manifest_notice.hpp"
#include "daemon/control/manifest.hpp"
#include "tests/host/control_support.hpp"

using namespace keepd;
using namespace keepd::test;
using nlohmann::json;

namespace {

// The client as the next image gets it: through the checkpoint's saved form.
control::ClientState carried(FakeClient& client) {
    const control::ClientState given = client.conversation().give_away();
    const auto again = checkpoint::restore<control::ClientState>(checkpoint::save(given));
    REQUIRE(again);
    CHECK(*again == given);
    return *again;
}

// The next image: the same state, a new desk.
struct NextImage {
    explicit NextImage(Office& before) : desk(before.port, keepd_uid) {
        before.port.desk = &desk;
        desk.adopt_history(before.desk.recent());
    }
    control::Desk desk;
};

} // namespace

TEST_CASE("half a request is completed in the next image") {
    Office office;
    FakeClient client(office.desk, root);
    const std::string request = control::request_message("io.keepd.Manager.ReopenLogs", "{}");
    client.type(request.substr(0, 20));
    NextImage next(office);
    FakeClient again(next.desk, carried(client));
    CHECK(office.port.reopened == 0);
    again.type(request.substr(20));
    CHECK(office.port.reopened == 1);
    CHECK(again.reply() == json{{"parameters", json::object()}});
}

TEST_CASE("a reply that was half sent is sent to its end") {
    Office office;
    FakeClient client(office.desk, guest);
    client.ask("Status");
    const std::string whole(client.conversation().unsent());
    client.conversation().sent(100);
    NextImage next(office);
    FakeClient again(next.desk, carried(client));
    CHECK(again.conversation().unsent() == whole.substr(100));
    CHECK(again.conversation().wants_turn());
}

TEST_CASE("a wait goes on in the next image, with those already settled") {
    Office office;
    FakeClient client(office.desk, root);
    client.ask("Stop", {{"names", {"web", "db"}}});
    office.port.end("web", 0);
    NextImage next(office);
    FakeClient again(next.desk, carried(client));
    CHECK(again.replies().empty());
    office.port.end("db", 0);
    CHECK(again.reply().at("parameters").at("results").size() == 2);
}

TEST_CASE("a wait that ended while nobody served is answered at the client's first turn") {
    Office office;
    FakeClient client(office.desk, root);
    client.ask("Stop", {{"names", {"web"}}});
    control::ClientState state = carried(client);
    office.desk.remove(client.id());
    office.port.end("web", 0);
    NextImage next(office);
    FakeClient again(next.desk, std::move(state));
    again.turn();
    CHECK(again.reply().at("parameters").at("results").at(0).at("ok") == true);
}

TEST_CASE("requests that waited behind others are served in the next image") {
    Office office;
    FakeClient client(office.desk, root);
    client.ask("Stop", {{"names", {"web"}}});
    client.ask("ReopenLogs");
    NextImage next(office);
    FakeClient again(next.desk, carried(client));
    office.port.end("web", 0);
    again.turn();
    CHECK(again.replies().size() == 2);
    CHECK(office.port.reopened == 1);
}

TEST_CASE("the upgrade is answered by the new image, which tells both versions") {
    Office office;
    FakeClient client(office.desk, root);
    client.ask("Upgrade");
    NextImage next(office);
    FakeClient again(next.desk, carried(client));
    office.port.build_id = "bbbb";
    office.port.now_.time += std::chrono::seconds(1);
    office.port.end("db", 1); // crashed meanwhile: its next process is another one
    office.port.upgrade_ended(true, 0, "upgraded", true);
    const json reply = again.reply().at("parameters");
    CHECK(reply.at("from").at("build_id") == "aaaa");
    CHECK(reply.at("to").at("build_id") == "bbbb");
    CHECK(reply.at("generation") == 2);
    CHECK(reply.at("untouched") == 1);
}

TEST_CASE("a reload that was put off until after the upgrade is answered by the new image") {
    Office office;
    FakeClient upgrader(office.desk, root);
    upgrader.ask("Upgrade");
    FakeClient client(office.desk, root);
    client.ask("Reload");
    NextImage next(office);
    FakeClient again(next.desk, carried(client));
    again.turn(); // looks, and it is not over yet
    CHECK(again.replies().empty());
    office.port.upgrade_ended(true, 0, "upgraded", true);
    CHECK(again.reply().at("parameters").contains("plan"));
}

TEST_CASE("a follower misses no event and sees none twice") {
    Office office;
    FakeClient client(office.desk, guest);
    client.ask("Events", json::object(), true);
    office.port.end("web", 1);
    NextImage next(office);
    FakeClient again(next.desk, carried(client));
    office.port.end("db", 1);
    std::vector<std::uint64_t> numbers;
    for (const json& reply : again.replies()) {
        for (const json& event : reply.at("parameters").at("events"))
            numbers.push_back(event.at("number"));
    }
    REQUIRE(numbers.size() >= 4);
    for (std::size_t i = 1; i < numbers.size(); ++i)
        CHECK(numbers[i] == numbers[i - 1] + 1);
    CHECK(numbers.back() == office.port.state_.daemon.next_notice - 1);
}

TEST_CASE("the server's saved form holds everything") {
    control::Parked parked;
    parked.listener = 5;
    parked.path = "/run/keepd/control.sock";
    control::ClientState client{
        .fd = 7, .uid = 1, .gid = 2, .pid = 3, .input = std::string("a\0b", 3), .output = "o", .pending = {}};
    client.pending.kind = control::Pending::Kind::reload;
    client.pending.wishes = {{core::Wish::Kind::restarted, "web", {4}}};
    client.pending.settled = {{"db", true, true, "running"}};
    client.pending.next_notice = 9;
    client.pending.more = true;
    client.pending.wait = false;
    client.pending.method = "Reload";
    client.pending.answer = "{}";
    parked.clients = {client};
    core::Notice notice;
    notice.number = 8;
    notice.exit = keep::ExitStatus::signaled(11, true);
    parked.recent = {notice};
    const auto again = checkpoint::restore<control::Parked>(checkpoint::save(parked));
    REQUIRE(again);
    CHECK(*again == parked);
}
