// Tells every story of the given files again and compares, one TAP line for each story.
//   test-core-stories FILE...             compares
//   test-core-stories --rewrite FILE...   writes what happens now into the files, to be read before it is committed
#include <algorithm>
#include <fstream>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string_view>

#include "tests/core/story.hpp"

namespace {

using keepd::core::test::Story;

std::string read(const std::string& path) {
    std::ifstream in(path);
    if (!in) throw std::runtime_error("can't open " + path);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

void show_difference(const std::vector<std::string>& expected, const std::vector<std::string>& actual) {
    for (std::size_t i = 0; i < std::max(expected.size(), actual.size()); ++i) {
        const std::string want = i < expected.size() ? expected[i] : "(the end)";
        const std::string got = i < actual.size() ? actual[i] : "(the end)";
        if (want == got) continue;
        std::cout << "#   line " << i + 1 << " of the story\n#   expected " << want << "\n#   got      " << got << "\n";
        return;
    }
}

bool check(const Story& story, const std::string& path, int number) {
    std::vector<std::string> actual;
    try {
        actual = keepd::core::test::tell_again(story);
    } catch (const std::exception& error) {
        std::cout << "not ok " << number << " - " << path << ": " << story.title << "\n#   " << error.what() << "\n";
        return false;
    }
    const bool same = actual == story.lines;
    std::cout << (same ? "ok " : "not ok ") << number << " - " << story.title << "\n";
    if (!same) {
        std::cout << "#   in " << path << "\n";
        show_difference(story.lines, actual);
    }
    return same;
}

void rewrite(const std::string& path) {
    const std::string text = read(path);
    std::string out = text.substr(0, text.starts_with("== ") ? 0 : text.find("\n== ") + 1);
    for (const Story& story : keepd::core::test::stories_of(text)) {
        out += "== " + story.title + "\n";
        for (const std::string& line : keepd::core::test::tell_again(story))
            out += line + "\n";
    }
    std::ofstream(path) << out;
}

} // namespace

int main(int argc, char** argv) {
    std::vector<std::string> paths(argv + 1, argv + argc);
    if (!paths.empty() && paths[0] == "--rewrite") {
        for (std::size_t i = 1; i < paths.size(); ++i) {
            try {
                rewrite(paths[i]);
            } catch (const std::exception& error) {
                std::cerr << paths[i] << ": " << error.what() << "\n";
                return 1;
            }
        }
        return 0;
    }
    int number = 0, failed = 0;
    for (const std::string& path : paths) {
        const auto stories = keepd::core::test::stories_of(read(path));
        if (stories.empty()) throw std::runtime_error("no story in " + path);
        for (const Story& story : stories)
            if (!check(story, path, ++number)) ++failed;
    }
    std::cout << "1.." << number << "\n";
    return number == 0 || failed != 0 ? 1 : 0;
}
