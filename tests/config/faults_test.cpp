// Every wrong document in faults/ is refused with exactly the faults that its first lines name:
//   //! LINE:COLUMN: /POINTER: MESSAGE
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/config/hermetic_facts.hpp"

using namespace keepd::config;
using namespace keepd::config::testing;

namespace {

std::string read(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::string expected_faults(std::string_view text) {
    constexpr std::string_view mark = "//! ";
    std::string expected;
    while (text.starts_with(mark)) {
        const std::size_t end = text.find('\n');
        expected.append("keepd.json:").append(text.substr(mark.size(), end - mark.size())).append("\n");
        text.remove_prefix(end + 1);
    }
    return expected;
}

std::vector<std::filesystem::path> documents() {
    std::vector<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::directory_iterator(KEEPD_FAULTS_DIR))
        paths.push_back(entry.path());
    std::sort(paths.begin(), paths.end());
    return paths;
}

} // namespace

TEST_CASE("every wrong document is refused at the expected places with the expected words") {
    const auto paths = documents();
    REQUIRE(paths.size() >= 60);
    for (const auto& path : paths) {
        CAPTURE(path.filename());
        const std::string text = read(path);
        const std::string expected = expected_faults(text);
        CHECK_FALSE(expected.empty());
        const auto plan = load_text(text);
        REQUIRE_FALSE(plan.has_value());
        CHECK(listed(plan.error()) == expected);
    }
}

TEST_CASE("every wrong document without its fault's lines still gives its faults at the same columns") {
    for (const auto& path : documents()) {
        CAPTURE(path.filename());
        const std::string text = read(path);
        std::size_t begin = 0;
        while (text.compare(begin, 4, "//! ") == 0)
            begin = text.find('\n', begin) + 1;
        const auto with = load_text(text);
        const auto without = load_text(text.substr(begin));
        const auto header =
            static_cast<std::size_t>(std::count(text.begin(), text.begin() + static_cast<long>(begin), '\n'));
        REQUIRE_FALSE(with.has_value());
        REQUIRE_FALSE(without.has_value());
        REQUIRE(with.error().size() == without.error().size());
        for (std::size_t i = 0; i < with.error().size(); ++i) {
            CHECK(with.error()[i].line == without.error()[i].line + header);
            CHECK(with.error()[i].column == without.error()[i].column);
            CHECK(with.error()[i].pointer == without.error()[i].pointer);
        }
    }
}
