// What a candidate may say in a rehearsal, and what is taken for nonsense.
#include <doctest/doctest.h>

#include "daemon/upgrade/environment.hpp"
#include "daemon/upgrade/rehearsal_answer.hpp"

using keepd::upgrade::Answer;
using keepd::upgrade::parse_answer;
using keepd::upgrade::to_text;

TEST_CASE("an answer is read back as it was given") {
    const Answer answer{"0.1.0+b", "00ff", "1.0", "0123456789abcdef", 17};
    const auto again = parse_answer(to_text(answer));
    REQUIRE(again);
    CHECK(*again == answer);
}

TEST_CASE("every cut of an answer is refused") {
    const std::string text = to_text({"1", "2", "3", "4", 5});
    for (std::size_t size = 0; size < text.size(); ++size) {
        CAPTURE(size);
        CHECK_FALSE(parse_answer(text.substr(0, size)));
    }
}

TEST_CASE("nonsense is refused with its reason") {
    const auto reason = [](std::string_view text) { return parse_answer(text).error().message; };
    CHECK(reason("") == "it answered nothing");
    CHECK(reason("yes\n") == "it answered something that is no rehearsal's answer");
    CHECK(reason("keepd-rehearsal=1\nversion=1\nversion=2\nend\n") == "its answer makes no sense");
    CHECK(reason("keepd-rehearsal=1\nversion=1\nbuild_id=2\nformat=3\nend\n") == "its answer names no digest");
    CHECK(reason("keepd-rehearsal=1\nversion=1\nbuild_id=2\nformat=3\ndigest=4\nprograms=many\nend\n") ==
          "its answer makes no sense");
}

TEST_CASE("a rehearsal can't speak for keepd, a new image gets all but foreign sockets") {
    const std::vector<std::string> original{"PATH=/bin",    "NOTIFY_SOCKET=/run/n", "WATCHDOG_USEC=1", "WATCHDOG_PID=1",
                                            "LISTEN_FDS=1", "LISTEN_PID=2",         "LISTENER=mine"};
    CHECK(keepd::upgrade::for_rehearsal(original) == std::vector<std::string>{"PATH=/bin", "LISTENER=mine"});
    CHECK(keepd::upgrade::for_new_image(original) == std::vector<std::string>{"PATH=/bin", "NOTIFY_SOCKET=/run/n",
                                                                              "WATCHDOG_USEC=1", "WATCHDOG_PID=1",
                                                                              "LISTENER=mine"});
}
