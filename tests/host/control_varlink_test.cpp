#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "daemon/control/varlink.hpp"

using namespace keepd::control;
using namespace std::string_literals;

namespace {

std::string nested(int depth) {
    const auto count = static_cast<std::size_t>(depth);
    return R"({"method":"a.b","parameters":{"x":)" + std::string(count, '[') + std::string(count, ']') + "}}";
}

} // namespace

TEST_CASE("a message that arrives byte by byte is taken when its NUL is there, and not before") {
    Inbox inbox(100);
    const std::string message = R"({"method":"a.b"})";
    for (const char byte : message) {
        inbox.append(std::string_view(&byte, 1));
        CHECK_FALSE(inbox.has_message());
        CHECK_FALSE(inbox.take());
    }
    inbox.append("\0"s);
    CHECK(inbox.has_message());
    CHECK(inbox.take() == message);
    CHECK(inbox.size() == 0);
}

TEST_CASE("messages that arrive together are taken one by one, and a part of the next stays") {
    Inbox inbox(100);
    inbox.append("one\0two\0\0thr"s);
    CHECK(inbox.take() == "one");
    CHECK(inbox.take() == "two");
    CHECK(inbox.take() == "");
    CHECK_FALSE(inbox.take());
    CHECK(inbox.rest() == "thr");
    inbox.append("ee\0"s);
    CHECK(inbox.take() == "three");
}

TEST_CASE("taken messages leave the rest intact while more arrives") {
    Inbox inbox(100);
    std::size_t taken = 0;
    for (int i = 0; i < 1000; ++i) {
        inbox.append("message " + std::to_string(i) + "\0mess"s + "age x\0"s);
        CHECK(inbox.take() == "message " + std::to_string(i));
        CHECK(inbox.take() == "message x");
        ++taken;
    }
    CHECK(taken == 1000);
    CHECK(inbox.size() == 0);
}

TEST_CASE("a message that reaches the limit without its NUL is oversized, one that fits is not") {
    Inbox inbox(8);
    inbox.append("1234567");
    CHECK_FALSE(inbox.oversized());
    SUBCASE("ends in time") {
        inbox.append("\0"s);
        CHECK_FALSE(inbox.oversized());
    }
    SUBCASE("one byte more") {
        inbox.append("8");
        CHECK(inbox.oversized());
    }
    SUBCASE("one byte more, with its end") {
        inbox.append("8\0"s);
        CHECK(inbox.oversized());
    }
}

TEST_CASE("what was carried over goes on where it was") {
    Inbox inbox(100, "half a mess");
    inbox.append("age\0"s);
    CHECK(inbox.take() == "half a message");
}

TEST_CASE("a request is read with its flags and parameters") {
    const auto request = parse_request(R"({"method":"a.b.C","parameters":{"x":1},"more":true,"oneway":false})");
    REQUIRE(request);
    CHECK(request->method == "a.b.C");
    CHECK(request->parameters->at("x") == 1);
    CHECK(request->more);
    CHECK_FALSE(request->oneway);
    CHECK_FALSE(request->upgrade);
}

TEST_CASE("parameters that are left out or null are an empty object") {
    for (const char* text : {R"({"method":"a.b"})", R"({"method":"a.b","parameters":null})"}) {
        const auto request = parse_request(text);
        REQUIRE(request);
        CHECK(*request->parameters == nlohmann::json::object());
    }
}

TEST_CASE("what is no request is refused with what is wrong") {
    CHECK(parse_request("").error() == "not JSON");
    CHECK(parse_request("{").error() == "not JSON");
    CHECK(parse_request("{\"method\":\"\xff\"}").error() == "not JSON");
    CHECK(parse_request("[]").error() == "not an object");
    CHECK(parse_request("{}").error() == "'method' is not a string");
    CHECK(parse_request(R"({"method":1})").error() == "'method' is not a string");
    CHECK(parse_request(R"({"method":"a","more":1})").error() == "'more' is not a boolean");
    CHECK(parse_request(R"({"method":"a","parameters":[]})").error() == "'parameters' is not an object");
}

TEST_CASE("nesting is bounded before anything is built of it") {
    CHECK(parse_request(nested(max_nesting - 2)));
    CHECK(parse_request(nested(max_nesting - 1)).error() == "nested deeper than 32");
    CHECK(parse_request(std::string(1'000'000, '[')).error() == "nested deeper than 32");
    CHECK(parse_request(R"({"method":"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"[[["})"));
}

TEST_CASE("messages read back as what they say, and end in one NUL") {
    const std::string request = request_message("a.b", R"({"x":"\u0000"})", true, true);
    CHECK(request.find('\0') == request.size() - 1);
    const auto read = parse_request(std::string_view(request).substr(0, request.size() - 1));
    REQUIRE(read);
    CHECK(read->more);
    CHECK(read->oneway);

    CHECK(reply_message("{}") == "{\"parameters\":{}}\0"s);
    CHECK(reply_message("{}", true) == "{\"parameters\":{},\"continues\":true}\0"s);
    CHECK(error_message("a.E", R"({"r":1})") == "{\"error\":\"a.E\",\"parameters\":{\"r\":1}}\0"s);
    const auto reply = parse_reply(R"({"error":"a.E","parameters":{"r":1},"continues":false})");
    REQUIRE(reply);
    CHECK(reply->error == "a.E");
    CHECK(reply->parameters->at("r") == 1);
}

TEST_CASE("text that is no UTF-8 does not stop a reply") {
    CHECK(to_text(nlohmann::json{{"a", "x\xff"}}) == "{\"a\":\"x\xEF\xBF\xBD\"}");
}
