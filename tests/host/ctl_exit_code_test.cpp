#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "daemon/ctl/exit_code.hpp"

using namespace keepd::ctl;
using nlohmann::json;

TEST_CASE("each error of keepd has its exit code, and says what is the matter") {
    struct Case {
        const char* error;
        json parameters;
        ExitCode code;
        std::string text;
    };
    const json results = json::array({{{"name", "web"}, {"ok", false}, {"text", "backoff: exit 1"}},
                                      {{"name", "db"}, {"ok", true}, {"text", "running, pid 8"}}});
    const std::vector<Case> cases = {
        {"io.keepd.Manager.NoSuchProgram",
         {{"name", "wbe"}, {"nearest", "web"}},
         ExitCode::no_such_program,
         "no such program 'wbe'; did you mean 'web'?"},
        {"io.keepd.Manager.NoSuchProgram",
         {{"name", "x"}, {"nearest", nullptr}},
         ExitCode::no_such_program,
         "no such program 'x'"},
        {"io.keepd.Manager.Refused", {{"reason", "not an ELF file"}}, ExitCode::refused, "not an ELF file"},
        {"io.keepd.Manager.Busy",
         {{"reason", "an upgrade is under way"}},
         ExitCode::refused,
         "an upgrade is under way"},
        {"org.varlink.service.PermissionDenied", json::object(), ExitCode::refused,
         "permission denied: only root and keepd's own user may do that"},
        {"io.keepd.Manager.ConfigWrong",
         {{"faults", {"a:1:2: /x: y", "b:3:4: : z"}}},
         ExitCode::config_wrong,
         "the config is wrong, nothing was changed\n  a:1:2: /x: y\n  b:3:4: : z"},
        {"io.keepd.Manager.Failed",
         {{"reason", "all"}, {"results", results}},
         ExitCode::failed,
         "web: backoff: exit 1"},
        {"io.keepd.Manager.Failed", {{"reason", "timed out"}}, ExitCode::failed, "timed out"},
        {"org.varlink.service.InvalidParameter",
         {{"parameter", "names"}},
         ExitCode::wrong_usage,
         "keepd does not take this 'names'"},
        {"org.varlink.service.MethodNotFound",
         {{"method", "x"}},
         ExitCode::failed,
         "this keepd does not know that: it is another version (see keepctl version)"},
        {"com.example.Odd", json::object(), ExitCode::failed, "com.example.Odd"},
    };
    for (const Case& expected : cases) {
        CAPTURE(expected.error);
        const CallError found = from_varlink(expected.error, expected.parameters);
        CHECK(found.code == expected.code);
        CHECK(found.text == expected.text);
        CHECK(found.error == expected.error);
        CHECK(json::parse(found.parameters) == expected.parameters);
    }
}

TEST_CASE("the exit codes are the documented numbers") {
    CHECK(static_cast<int>(ExitCode::done) == 0);
    CHECK(static_cast<int>(ExitCode::failed) == 1);
    CHECK(static_cast<int>(ExitCode::wrong_usage) == 2);
    CHECK(static_cast<int>(ExitCode::no_such_program) == 3);
    CHECK(static_cast<int>(ExitCode::refused) == 4);
    CHECK(static_cast<int>(ExitCode::timed_out) == 5);
    CHECK(static_cast<int>(ExitCode::unreachable) == 6);
    CHECK(static_cast<int>(ExitCode::config_wrong) == 78);
}

TEST_CASE("an error whose parameters are not as expected still has a code") {
    CHECK(from_varlink("io.keepd.Manager.NoSuchProgram", json::array()).code == ExitCode::no_such_program);
    CHECK(from_varlink("io.keepd.Manager.ConfigWrong", {{"faults", 3}}).code == ExitCode::config_wrong);
}
