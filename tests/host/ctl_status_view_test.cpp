#include <algorithm>
#include <doctest/doctest.h>
#include <nlohmann/json.hpp>
#include <sstream>

#include "daemon/ctl/status_view.hpp"
#include "daemon/ctl/text_width.hpp"

using namespace keepd::ctl;
using nlohmann::json;

namespace {

json daemon_reply() {
    return {{"version", "0.1.0"},
            {"build_id", "0123456789abcdef0123"},
            {"pid", 812},
            {"generation", 3},
            {"uptime_s", 12'000.0},
            {"stage", "serving"},
            {"upgrading", false},
            {"process_trees", "cgroup"},
            {"counts", {{"total", 4}, {"up", 2}, {"waiting", 1}, {"failed", 1}, {"down", 0}}},
            {"last_reload", nullptr},
            {"last_upgrade", {{"at", "2026-11-22T17:00:00.000Z"}, {"ok", true}, {"text", "upgraded"}}}};
}

json program(const char* name, const char* state, const json& more = json::object()) {
    json found = {{"name", name},
                  {"description", ""},
                  {"state", state},
                  {"text", ""},
                  {"since", "2026-11-22T17:02:03.123Z"},
                  {"pid", nullptr},
                  {"run", 1},
                  {"restarts", 0},
                  {"failures", 0},
                  {"uptime_s", nullptr},
                  {"next_start_in_s", nullptr},
                  {"exit", nullptr},
                  {"command", {"/bin/web", "--serve"}},
                  {"log", json::object()}};
    found.update(more);
    return found;
}

json reply() {
    return {{"daemon", daemon_reply()},
            {"programs",
             {program("web@10", "running", {{"pid", 1201}, {"uptime_s", 125.0}}),
              program("web@2", "running",
                      {{"pid", 9},
                       {"uptime_s", 0.3},
                       {"restarts", 12},
                       {"exit", {{"signal", "SIGSEGV"}, {"core", true}}},
                       {"log", {{"stdout", {{"problem", "write: No space left on device"}}}}}}),
              program("crash", "backoff",
                      {{"restarts", 6},
                       {"exit", {{"code", 1}}},
                       {"text", "exit 1 after 0.3 s, next start in 4 s (failure 6)"}}),
              program("once", "completed", {{"exit", {{"code", 0}}}, {"text", "exit 0 after 2 s"}})}}};
}

} // namespace

TEST_CASE("status is a table that reads well") {
    CHECK(status_table(reply(), Look{}) ==
          "keepd 0.1.0 (build 0123456789ab) · pid 812 · generation 3 · up 3 h 20 min · 4 programs: 2 up, 1 waiting, "
          "1 failed\n"
          "\n"
          "NAME    STATE         PID     UPTIME  RESTARTS  LAST EXIT       NEXT / NOTE\n"
          "crash   ● backoff       -          -         6  exit 1          exit 1 after 0.3 s, next start in 4 s "
          "(failure 6)\n"
          "once    ○ completed     -          -         0  exit 0          exit 0 after 2 s\n"
          "web@2   ● running       9      0.3 s        12  SIGSEGV (core)  stdout: write: No space left on device\n"
          "web@10  ● running    1201  2 min 5 s         0  -\n");
}

TEST_CASE("no line of the table is wider than the terminal") {
    const std::string text = status_table(reply(), Look{false, 90});
    CHECK(text.find("exit 1 after 0.3 s, next …\n") != std::string::npos);
    std::istringstream lines(text.substr(text.find("NAME")));
    for (std::string line; std::getline(lines, line);)
        CHECK(display_width(line) <= 90);
}

TEST_CASE("what went wrong with keepd itself is told above the table") {
    json found = reply();
    found["programs"] = json::array();
    json& daemon = found["daemon"];
    daemon["process_trees"] = "process group";
    daemon["stage"] = "shutting_down";
    daemon["upgrading"] = true;
    daemon["last_reload"] = {{"at", "2026-11-22T17:00:00.000Z"}, {"ok", false}, {"text", "a:1:2: x\nb:3:4: y"}};
    daemon["last_upgrade"] = {{"at", "2026-11-22T18:00:00.000Z"}, {"ok", false}, {"text", "not an ELF file"}};
    const std::string text = status_table(found, Look{});
    CHECK(text.substr(text.find('\n') + 1) ==
          "trees: only a program's process group is watched, not its whole tree (no cgroup to use)\n"
          "keepd is shutting down\n"
          "an upgrade is under way\n"
          "last reload failed at 2026-11-22T17:00:00.000Z:\n"
          "  a:1:2: x\n"
          "  b:3:4: y\n"
          "last upgrade failed at 2026-11-22T18:00:00.000Z: not an ELF file\n");
    CHECK(status_table(found, Look{true, {}}).find("\033[31mlast upgrade failed") != std::string::npos);
}

TEST_CASE("states have their colours") {
    const auto color_of = [](const char* state) {
        const json found = {{"daemon", daemon_reply()}, {"programs", {program("p", state)}}};
        const std::string text = status_table(found, Look{true, {}});
        const std::size_t dot = std::min(text.find("●"), text.find("○"));
        return text.substr(dot - 5, 5);
    };
    CHECK(color_of("running") == "\033[32m");
    CHECK(color_of("completed") == "\033[32m");
    CHECK(color_of("failed") == "\033[31m");
    CHECK(color_of("backoff") == "\033[33m");
    CHECK(color_of("starting") == "\033[33m");
    CHECK(color_of("stopping") == "\033[33m");
    CHECK(color_of("waiting") == "\033[33m");
    CHECK(color_of("stopped").ends_with("\033[2m"));
}

TEST_CASE("one program is shown with everything") {
    json web = program("web", "running",
                       {{"description", "the front"},
                        {"text", "up 2 min 5 s, started by uid 0"},
                        {"pid", 1201},
                        {"run", 7},
                        {"uptime_s", 125.0},
                        {"restarts", 3},
                        {"failures", 1},
                        {"exit", {{"code", 1}}},
                        {"exit_at", "2026-11-22T17:01:00.000Z"},
                        {"exit_uptime_s", 60.0},
                        {"memory_bytes", 1572864},
                        {"cpu_s", 0.25},
                        {"log", {{"stdout", {{"bytes", 2048}, {"dropped_bytes", 1024}, {"problem", ""}}}}}});
    const json found = {{"daemon", daemon_reply()}, {"programs", {web}}};
    CHECK(status_details(found, Look{}) == "● web - the front\n"
                                           "       state: running since 2026-11-22T17:02:03.123Z\n"
                                           "         why: up 2 min 5 s, started by uid 0\n"
                                           "     process: pid 1201, run 7, up 2 min 5 s\n"
                                           "    restarts: 3, failures in a row 1\n"
                                           "   last exit: exit 1 at 2026-11-22T17:01:00.000Z, after 1 min\n"
                                           "      memory: 1.5 MiB\n"
                                           "         cpu: 0.3 s\n"
                                           "     command: /bin/web --serve\n"
                                           "      stdout: 2 KiB written, 1 KiB dropped\n");
}

TEST_CASE("a reply with nothing in it is shown, not stumbled over") {
    CHECK_FALSE(status_table(json::object(), Look{}).empty());
    CHECK(status_details(json::object(), Look{}).empty());
    CHECK_FALSE(status_table({{"programs", {json::object(), 3}}}, Look{}).empty());
}

TEST_CASE("an exit is named in few words") {
    CHECK(exit_text({{"code", 0}}) == "exit 0");
    CHECK(exit_text({{"signal", "SIGKILL"}, {"core", false}}) == "SIGKILL");
    CHECK(exit_text({{"signal", "SIGSEGV"}, {"core", true}}) == "SIGSEGV (core)");
    CHECK(exit_text({{"unknown", true}}) == "unknown");
    CHECK(exit_text(nullptr) == "-");
}
