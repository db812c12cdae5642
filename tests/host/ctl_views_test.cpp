#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "daemon/ctl/line_printer.hpp"
#include "daemon/ctl/reply_view.hpp"

using namespace keepd::ctl;
using nlohmann::json;

TEST_CASE("an upgrade is told with both images") {
    const json reply = {{"text", "done"},
                        {"replaced", true},
                        {"from", {{"version", "0.1.0"}, {"build_id", "aaaaaaaaaaaaaaaa"}}},
                        {"to", {{"version", "0.1.0"}, {"build_id", "bbbbbbbbbbbbbbbb"}}},
                        {"generation", 2},
                        {"untouched", 5}};
    CHECK(upgrade_text(reply) == "upgraded: 0.1.0 (build aaaaaaaaaaaa) -> 0.1.0 (build bbbbbbbbbbbb), generation 2, "
                                 "5 programs untouched\n");
    CHECK(upgrade_text({{"text", "nothing to do: same build"}, {"replaced", false}}) == "nothing to do: same build\n");
}

TEST_CASE("a reload is told by its plan") {
    CHECK(plan_text({{"plan", {{"text", {"db: remove", "web: restart (command: a -> b)"}}, {"untouched", 1}}}}) ==
          "db: remove\nweb: restart (command: a -> b)\n1 program untouched\n");
    CHECK(plan_text({{"plan", {{"text", json::array()}, {"untouched", 3}}}}) ==
          "nothing changes, 3 programs untouched\n");
}

TEST_CASE("results name what became of each program") {
    CHECK(results_text({{"results",
                         {{{"name", "web"}, {"ok", true}, {"done", true}, {"text", "running, pid 8"}},
                          {{"name", "db"}, {"ok", true}, {"done", false}, {"text", ""}}}}}) ==
          "web: running, pid 8\ndb: asked\n");
}

TEST_CASE("an event is one line, whatever it says") {
    const json event = {{"at", "2026-11-22T17:02:03.123Z"},
                        {"kind", "exited"},
                        {"level", "warning"},
                        {"program", "web"},
                        {"text", "exit 1\n\033c"}};
    CHECK(event_text(event, Look{}) == "2026-11-22T17:02:03.123Z web: exit 1 ?c\n");
    CHECK(event_text(event, Look{true, {}}).find("\033[33mweb: exit 1 ?c\033[0m\n") != std::string::npos);
    CHECK(event_text({{"at", "T"}, {"kind", "reload"}, {"program", ""}, {"text", "x"}}, Look{}) ==
          "T keepd: reload: x\n");
}

TEST_CASE("lines get their program's name in front, however their bytes arrive") {
    std::string shown;
    LinePrinter printer([](std::string_view line) { return "web | " + std::string(line) + "\n"; },
                        [&](std::string_view text) { shown += text; });
    for (const char byte : std::string("one\ntwo\n\nthr"))
        printer.take(std::string_view(&byte, 1));
    CHECK(shown == "web | one\nweb | two\nweb | \n");
    printer.take("ee\nfour");
    printer.finish();
    printer.finish();
    CHECK(shown == "web | one\nweb | two\nweb | \nweb | three\nweb | four\n");
}

TEST_CASE("a single stream passes as it is") {
    std::string shown;
    LinePrinter printer({}, [&](std::string_view text) { shown += text; });
    printer.take("half a li");
    CHECK(shown == "half a li");
    printer.finish();
    CHECK(shown == "half a li");
}
