// What a file in faults/ cannot show: bytes that are no text, and places in odd texts.
#include <doctest/doctest.h>

#include <string>

#include "config/document.hpp"
#include "config/syntax.hpp"
#include "tests/config/hermetic_facts.hpp"

using namespace keepd::config;
using namespace keepd::config::testing;
using namespace std::string_literals;

namespace {

std::string fault_of(const std::string& text) {
    const auto plan = load_text(text);
    return plan ? "no fault" : listed(plan.error());
}

} // namespace

TEST_CASE("bytes that are no JSON text are refused at their place") {
    CHECK(fault_of("") == "keepd.json:1:1: the file is empty: expected an object, at least {}\n");
    CHECK(fault_of("// only a comment") == "keepd.json:1:18: the file is empty: expected an object, at least {}\n");
    CHECK(fault_of("\xEF\xBB\xBF{}") ==
          "keepd.json:1:1: the file begins with a byte order mark: save it as UTF-8 without one\n");
    CHECK(fault_of("\xFF\xFE{\0}\0"s) == "keepd.json:1:1: the file is UTF-16: save it as UTF-8\n");
    CHECK(fault_of("{\n\0}"s) == "keepd.json:2:1: a NUL byte: this is not a text file\n");
    CHECK(fault_of("{\n  // caf\xE9\n}") == "keepd.json:2:9: the byte 0xE9 is not valid UTF-8\n");
    CHECK(fault_of("{\"x-a\": \"\xC0\xAF\"}") == "keepd.json:1:10: the byte 0xC0 is not valid UTF-8\n"); // overlong
    CHECK(fault_of("{\"x-a\": \"\xED\xA0\x80\"}") ==
          "keepd.json:1:10: the byte 0xED is not valid UTF-8\n"); // surrogate
    CHECK(fault_of("{\"x-a\": \"\xF4\x90\x80\x80\"}") ==
          "keepd.json:1:10: the byte 0xF4 is not valid UTF-8\n");                                     // too far
    CHECK(fault_of("{\"x-a\": \"\xE2\x82") == "keepd.json:1:10: the byte 0xE2 is not valid UTF-8\n"); // cut
}

TEST_CASE("a file that ends too early says what is missing and where that began") {
    CHECK(fault_of("{") ==
          "keepd.json:1:2: the file ends too early: '}' is missing for the object that begins at 1:1\n");
    CHECK(fault_of("{\"a\": [1,\n 2") ==
          "keepd.json:2:3: /a/1: the file ends too early: ']' is missing for the list that begins at 1:7\n");
    CHECK(fault_of("{\"a\"") ==
          "keepd.json:1:5: /a: the file ends too early: '}' is missing for the object that begins at 1:1\n");
    CHECK(fault_of("{\"a\": \"b") == "keepd.json:1:7: /a: this string is not closed: '\"' is missing on its line\n");
    CHECK(fault_of("{\"a\": \"b\\") == "keepd.json:1:9: /a: a string cannot go on in the next line\n");
}

TEST_CASE("lines count by newlines, and columns by bytes, whatever stands between") {
    CHECK(fault_of("{\r\n\t\"nope\": 1}").starts_with("keepd.json:2:2: /nope"));
    CHECK(fault_of("/* \xC3\xA4\n*/ {\"x-\xC3\xA4\": 1, \"nope\": 1}").starts_with("keepd.json:2:16: /nope"));
    CHECK(fault_of("{ // a\r \"nope\": 1}").starts_with("keepd.json:1:9: /nope")); // a return ends a comment, no line
    CHECK(fault_of("{ /***/ \"nope\" /* : */ : /**/ 1 // }\n}").starts_with("keepd.json:1:9: /nope"));
}

TEST_CASE("values know their places behind comments, numbers and escapes") {
    const auto document =
        Document::parse("f", "[1/**/,-2.5e1 ,\"\\u00e4\\\"\", [true,false,null], {\"a\\u0062\" : {}}]");
    REQUIRE(document.has_value());
    const Node& root = (*document)->root();
    REQUIRE(root.children.size() == 5);
    CHECK(root.children[0].at == 1);
    CHECK(root.children[1].at == 7);
    CHECK(root.children[1].text == "-2.5e1");
    CHECK(root.children[1].integer == -25);
    CHECK(root.children[2].at == 15);
    CHECK(root.children[2].text == "\xC3\xA4\"");
    CHECK(root.children[3].at == 27);
    CHECK(root.children[3].children[1].at == 33);
    CHECK(root.children[3].children[2].at == 39);
    const Node& member = root.children[4].children[0];
    CHECK(member.key == "ab");
    CHECK(member.key_at == 47);
    CHECK(member.at == 59);
    CHECK((*document)->pointer(member) == "/4/ab");
    CHECK((*document)->pointer(root.children[3].children[2]) == "/3/2");
}

TEST_CASE("duplicates are found in objects of any size, each one at its place") {
    for (const int others : {0, 3, 14, 15, 16, 17, 100}) {
        CAPTURE(others);
        std::string text = "{\"x-b\": 1,\n";
        for (int i = 0; i < others; ++i)
            text += "\"x-" + std::to_string(i) + "\": {},";
        text += "\n \"x-b\": 2,\n  \"x-b\": 3}";
        CHECK(fault_of(text) == "keepd.json:3:2: /x-b: duplicate key 'x-b': it stands at 1:2 already\n"
                                "keepd.json:4:3: /x-b: duplicate key 'x-b': it stands at 1:2 already\n");
    }
}

TEST_CASE("a pointer escapes what would be taken for its own signs") {
    CHECK(fault_of("{\"a/b~c\": 1}").find(": /a~1b~0c: ") != std::string::npos);
}

TEST_CASE("nesting is bounded, in every shape") {
    const auto nested = [](std::size_t depth, const std::string& open, const std::string& close) {
        std::string text;
        for (std::size_t i = 0; i < depth; ++i)
            text += open;
        text += "1";
        for (std::size_t i = 0; i < depth; ++i)
            text += close;
        return text;
    };
    CHECK(Document::parse("f", nested(64, "[", "]")).has_value());
    for (const std::size_t depth : {std::size_t{65}, std::size_t{1'000'000}}) {
        const auto lists = Document::parse("f", nested(depth, "[", "]"));
        REQUIRE_FALSE(lists.has_value());
        CHECK(lists.error().message == "nested more than 64 levels deep");
        CHECK(lists.error().column == 65);
        CHECK_FALSE(Document::parse("f", nested(depth, "{\"a\":", "}")).has_value());
    }
}

TEST_CASE("a file that is too large is refused unread") {
    const auto document = Document::parse("f", std::string(Document::max_bytes + 1, ' '));
    REQUIRE_FALSE(document.has_value());
    CHECK(to_text(document.error()) == "f: larger than 16 MiB");
}

TEST_CASE("the explanation of a syntax error never lies outside of the text") {
    const std::string good = "{\"a\": [1, -2.5e3, \"x\\u00e4\\n\", true, null], /* c */ \"b\": {\"c\": {}}} // end";
    for (std::size_t cut = 0; cut < good.size(); ++cut) {
        for (const char wrong : {'\0', '{', ']', ',', '"', '\\', '0', 'x', '/', '\n', '\x80'}) {
            std::string text = good.substr(0, cut) + wrong + good.substr(cut + 1);
            const auto document = Document::parse("f", text);
            if (document) continue;
            CHECK(document.error().line >= 1);
            CHECK(document.error().column >= 1);
            CHECK(document.error().column <= text.size() + 1);
            CHECK(document.error().message != "this is not JSON");
        }
    }
}
