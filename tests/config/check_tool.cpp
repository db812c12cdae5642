// Verdicts of the parser for many documents: reads NUL-terminated documents from stdin, and for each writes its faults,
// one in a line (nothing for a good one), and a NUL. With --all-exist every user, group, program and directory exists,
// so that only what the documents say decides.
#include <cstdio>
#include <cstring>
#include <iterator>
#include <string>

#include "tests/config/hermetic_facts.hpp"

using namespace keepd::config;

namespace {

std::string read_all(std::FILE* from) {
    std::string text;
    char buffer[65536];
    for (std::size_t count = 0; (count = std::fread(buffer, 1, sizeof buffer, from)) > 0;)
        text.append(buffer, count);
    return text;
}

void let_all_exist(Facts& facts) {
    facts.user = [](const std::string& user) { return Facts::Names{1, 1, {1}, user, "/", "/bin/sh"}; };
    facts.group = [](const std::string&) { return 1U; };
    facts.executable = [](const std::string& command) { return command; };
    facts.directory = [](const std::string&) { return std::nullopt; };
}

} // namespace

int main(int count, char** arguments) {
    const bool all_exist = count > 1 && std::strcmp(arguments[1], "--all-exist") == 0;
    const std::string input = read_all(stdin);
    for (std::size_t begin = 0; begin < input.size();) {
        const std::size_t end = input.find('\0', begin);
        const std::string path = "/etc/keepd/keepd.json";
        Facts facts = testing::hermetic_facts({{path, input.substr(begin, end - begin)}});
        if (all_exist) let_all_exist(facts);
        const auto plan = load(path, facts);
        const std::string verdict = plan ? "" : testing::listed(plan.error());
        std::fwrite(verdict.c_str(), 1, verdict.size() + 1, stdout);
        if (end == std::string::npos) break;
        begin = end + 1;
    }
    return 0;
}
