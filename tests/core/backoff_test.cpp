// restart.* as pure functions: what a story with exact times can't show.
#include <cstdint>
#include <doctest/doctest.h>

#include <cmath>

#include "daemon/core/restart_policy.hpp"

using namespace keepd::core;
using namespace std::chrono_literals;

namespace {

keepd::config::Restart restart_of(Duration delay, double factor, Duration cap, double jitter) {
    keepd::config::Restart restart;
    restart.delay = delay;
    restart.backoff_factor = factor;
    restart.max_delay = cap;
    restart.jitter = jitter;
    return restart;
}

} // namespace

TEST_CASE("backoff grows from the first delay by the factor up to the cap") {
    const auto restart = restart_of(500ms, 2.0, 30s, 0);
    const std::vector<Duration> expected{500ms, 1s, 2s, 4s, 8s, 16s, 30s, 30s};
    for (int failures = 1; failures <= 8; ++failures)
        CHECK(backoff_delay(restart, failures, 0.99) == expected[static_cast<std::size_t>(failures) - 1]);
}

TEST_CASE("a factor of 1 does not grow") {
    const auto restart = restart_of(3s, 1.0, 30s, 0);
    CHECK(backoff_delay(restart, 1, 0) == 3s);
    CHECK(backoff_delay(restart, 100000, 0) == 3s);
}

TEST_CASE("a first delay above the cap is the cap") {
    CHECK(backoff_delay(restart_of(1min, 2.0, 30s, 0), 1, 0) == 30s);
}

TEST_CASE("no delay stays none, however many failures") {
    CHECK(backoff_delay(restart_of(0s, 10.0, 30s, 1), 2'000'000'000, 0.5) == Duration::zero());
}

TEST_CASE("growth beyond every number ends at the cap") {
    CHECK(backoff_delay(restart_of(1s, 1e300, 30s, 0), 2'000'000'000, 0) == 30s);
    CHECK(backoff_delay(restart_of(1ns, 2.0, 30s, 0), 2'000'000'000, 0) == 30s);
    const Duration longest = backoff_delay(restart_of(Duration::max(), 2.0, Duration::max(), 1), 50, 0.99);
    CHECK(longest > 24h * 365);
    CHECK(Time{longest}.time_since_epoch() > Duration::zero());
}

TEST_CASE("jitter comes on top of the cap, as a share of the delay") {
    const auto restart = restart_of(1s, 2.0, 10s, 0.1);
    CHECK(backoff_delay(restart, 1, 0) == 1s);
    CHECK(backoff_delay(restart, 1, 0.5) == 1050ms);
    CHECK(backoff_delay(restart, 20, 0.5) == 10500ms);
}

TEST_CASE("draws are in [0, 1), spread out, and the same again") {
    double sum = 0;
    const int count = 10000;
    for (int i = 0; i < count; ++i) {
        const double draw = jitter_draw(42, "web", RunId{static_cast<std::uint64_t>(i)});
        REQUIRE(draw >= 0);
        REQUIRE(draw < 1);
        sum += draw;
    }
    CHECK(std::abs(sum / count - 0.5) < 0.02);
    CHECK(jitter_draw(42, "web", RunId{7}) == jitter_draw(42, "web", RunId{7}));
    CHECK(jitter_draw(42, "web", RunId{7}) != jitter_draw(42, "web", RunId{8}));
    CHECK(jitter_draw(42, "web", RunId{7}) != jitter_draw(42, "api", RunId{7}));
    CHECK(jitter_draw(42, "web", RunId{7}) != jitter_draw(43, "web", RunId{7}));
}

TEST_CASE("programs that fail together do not come back together") {
    keepd::config::Program a, b;
    a.name = "a";
    b.name = "b";
    CHECK(restart_delay(a, Retry{}, Cause::exit, RunId{1}, 5) != restart_delay(b, Retry{}, Cause::exit, RunId{1}, 5));
}

TEST_CASE("the memory of starts holds the window, and never more than the limit") {
    keepd::config::Restart restart;
    restart.start_limit_burst = 3;
    restart.start_limit_interval = 10s;
    Retry retry;
    for (int second = 100; second < 110; ++second)
        remember_start(retry, restart, Time{std::chrono::seconds(second)});
    CHECK(retry.starts == std::vector<Time>{Time{107s}, Time{108s}, Time{109s}});
    remember_start(retry, restart, Time{118s});
    CHECK(retry.starts == std::vector<Time>{Time{109s}, Time{118s}});
    remember_start(retry, restart, Time{119s});
    CHECK(retry.starts == std::vector<Time>{Time{118s}, Time{119s}});
    restart.start_limit_burst = 0;
    remember_start(retry, restart, Time{120s});
    CHECK(retry.starts.empty());
}
