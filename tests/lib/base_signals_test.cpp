#include <doctest/doctest.h>

#include <csignal>

#include "lib/base/exit_status.hpp"
#include "lib/base/signals.hpp"

using namespace keep;

TEST_CASE("signals are read by name, with or without SIG, and by number") {
    CHECK(parse_signal("TERM") == SIGTERM);
    CHECK(parse_signal("SIGTERM") == SIGTERM);
    CHECK(parse_signal("15") == 15);
    CHECK(parse_signal("POLL") == SIGIO);
    CHECK(parse_signal("RTMIN") == SIGRTMIN);
    CHECK(parse_signal("SIGRTMIN+3") == SIGRTMIN + 3);
    CHECK(parse_signal("RTMAX-1") == SIGRTMAX - 1);
    CHECK(parse_signal("64") == 64);
}

TEST_CASE("what is no signal is refused") {
    for (const char* const text :
         {"",       "0",  "-9",     "32",      "33",       "65",      "999999999999", "term",    "SIG", "SIGSIGTERM",
          "SIGFOO", "9x", "RTMIN+", "RTMIN-1", "RTMIN+99", "RTMAX+1", "RTMAX-99",     "RTMIN+x", "+9",  " 9"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_signal(text));
    }
}

TEST_CASE("every signal's name reads back to its number") {
    for (int number = 1; number <= 64; ++number) {
        if (number == 32 || number == 33) continue;
        CAPTURE(number);
        CHECK(parse_signal(signal_name(number)) == number);
    }
    for (const std::string& name : signal_names()) {
        CAPTURE(name);
        CHECK(parse_signal(name));
    }
    CHECK(signal_name(SIGKILL) == "SIGKILL");
    CHECK(signal_name(SIGRTMIN + 3) == "SIGRTMIN+3");
    CHECK(signal_name(99) == "signal 99");
    CHECK(signal_name(33) == "signal 33");
}

TEST_CASE("an exit status says how the process ended") {
    CHECK(to_text(ExitStatus::exited(1)) == "exit 1");
    CHECK(to_text(ExitStatus::signaled(SIGKILL)) == "SIGKILL");
    CHECK(to_text(ExitStatus::signaled(SIGSEGV, true)) == "SIGSEGV (core dumped)");
    CHECK(to_text(ExitStatus{}) == "unknown");
    CHECK(ExitStatus::exited(0).success());
    CHECK_FALSE(ExitStatus::exited(1).success());
    CHECK_FALSE(ExitStatus{}.success()); // unknown is never a success
    CHECK_FALSE(ExitStatus::signaled(0).success());
}
