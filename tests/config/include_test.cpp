// Several files: what may stand in which, and which file a fault names.
#include <doctest/doctest.h>

#include "tests/config/hermetic_facts.hpp"

using namespace keepd::config;
using namespace keepd::config::testing;

namespace {

const std::string main_file = "/etc/keepd/keepd.json";

std::string faults_of(const Files& files) {
    const auto plan = load_files(files);
    return plan ? "no fault" : listed(plan.error());
}

} // namespace

TEST_CASE("included programs stand beside those of the main file, over its defaults") {
    const auto plan = load_files({
        {main_file, R"({"include": ["conf.d/*.json", "/opt/app/keepd.json"], "defaults": {"nice": 5},
                        "programs": {"a": {"command": ["a"]}}})"},
        {"/etc/keepd/conf.d/b.json", R"({"programs": {"b": {"command": ["b"]}}, "x-note": 1})"},
        {"/etc/keepd/conf.d/empty.json", "{}"},
        {"/opt/app/keepd.json", R"({"programs": {"c": {"command": ["c"], "nice": 1}}})"},
    });
    REQUIRE(plan.has_value());
    REQUIRE(plan->programs.size() == 3);
    CHECK(plan->programs.at("b").nice == 5);
    CHECK(plan->programs.at("c").nice == 1);
}

TEST_CASE("a pattern that finds nothing is no fault, and the main file does not include itself") {
    CHECK(load_files({{main_file, R"({"include": ["none.d/*.json", "*.json"]})"}}).has_value());
}

TEST_CASE("a file that two patterns find is read once") {
    CHECK(load_files({{main_file, R"({"include": ["conf.d/*.json", "conf.d/b.json"]})"},
                      {"/etc/keepd/conf.d/b.json", R"({"programs": {"b": {"command": ["b"]}}})"}})
              .has_value());
}

TEST_CASE("a program that stands in two files is a fault, and names the first place") {
    CHECK(faults_of({{main_file, "{\"include\": [\"more.json\"],\n \"programs\": {\"web\": {\"command\": [\"a\"]}}}"},
                     {"/etc/keepd/more.json", R"({"programs": {"web": {"command": ["a"]}}})"}}) ==
          "more.json:1:15: /programs/web: program 'web' is there already: /etc/keepd/keepd.json:2:15\n");
}

TEST_CASE("an included file holds programs only") {
    CHECK(faults_of({{main_file, R"({"include": ["more.json"]})"},
                     {"/etc/keepd/more.json", R"({"defaults": {}, "progams": {}, "include": []})"}}) ==
          "more.json:1:2: /defaults: 'defaults' belongs in the main file: an included one holds 'programs' only\n"
          "more.json:1:18: /progams: unknown key 'progams', did you mean 'programs'?\n"
          "more.json:1:33: /include: 'include' belongs in the main file: an included one holds 'programs' only\n");
    CHECK(faults_of({{main_file, R"({"include": ["more.json"]})"}, {"/etc/keepd/more.json", "[]"}}) ==
          "more.json:1:1: expected an object, {\"programs\": {...}}, not a list\n");
}

TEST_CASE("faults of all files come at once: one for a broken syntax, all for the others, the main file's first") {
    CHECK(faults_of({{main_file, R"({"include": ["b.json", "a.json"], "nope": 1})"},
                     {"/etc/keepd/a.json", R"({"programs": {"a": {"command": ["a"], "nice": 99, "umask": 1}}})"},
                     {"/etc/keepd/b.json", "{\"programs\": }"}}) ==
          "keepd.json:1:35: /nope: unknown key 'nope': keepd.json(5) lists the keys\n"
          "b.json:1:14: /programs: expected a value before '}'\n"
          "a.json:1:47: /programs/a/nice: expected a whole number from -20 to 19, not 99\n"
          "a.json:1:60: /programs/a/umask: expected an octal string such as \"0022\" or \"0660\", not 1\n");
}

TEST_CASE("streams of programs in different files must not share a path") {
    CHECK(faults_of({{main_file, R"({"include": ["b.json"], "programs": {
                          "a": {"command": ["a"], "stdout": {"path": "/var/log/x.log"}}}})"},
                     {"/etc/keepd/b.json",
                      R"({"programs": {"b": {"command": ["b"], "stdout": {"path": "/var/log/x.log"}}}})"}})
              .starts_with(
                  "b.json:1:58: /programs/b/stdout/path: stdout of 'b' goes to '/var/log/x.log', where stdout of 'a'"));
}

TEST_CASE("a file that is not there, or not to be trusted, is a fault of the whole file or of the line that names it") {
    Facts facts = hermetic_facts({{main_file, R"({"include": ["*"]})"}, {"/etc/keepd/loose", "{}"}});
    facts.distrust = [](const std::string& path) -> std::optional<std::string> {
        if (path == "/etc/keepd/loose") return "it is loose";
        return std::nullopt;
    };
    auto plan = load(main_file, facts);
    REQUIRE_FALSE(plan.has_value());
    CHECK(listed(plan.error()) == "loose: it is loose\n");

    facts = hermetic_facts({{main_file, R"({"include": ["*"]})"}});
    facts.glob = [](const std::string&) { return std::vector<std::string>{"/etc/keepd/vanished"}; };
    plan = load(main_file, facts);
    REQUIRE_FALSE(plan.has_value());
    CHECK(listed(plan.error()) == "keepd.json:1:14: /include/0: cannot include '/etc/keepd/vanished': open "
                                  "'/etc/keepd/vanished': No such file or directory\n");

    plan = load("/etc/keepd/none.json", hermetic_facts({}));
    REQUIRE_FALSE(plan.has_value());
    CHECK(listed(plan.error()) == "none.json: open '/etc/keepd/none.json': No such file or directory\n");
}
