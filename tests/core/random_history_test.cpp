// The invariants of the policy under random histories. KEEPD_SEEDS and KEEPD_EVENTS make the search wider.
#include <cstdint>
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>

#include "daemon/core/describe.hpp"
#include "daemon/core/overloaded.hpp"
#include "daemon/core/progress.hpp"
#include "daemon/core/restart_policy.hpp"
#include "daemon/core/turn.hpp"
#include "tests/core/effect_text.hpp"
#include "tests/core/random_history.hpp"

using namespace keepd::core;
using keepd::core::test::RandomHistory;

namespace {

int from_environment(const char* name, int otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : std::atoi(text);
}
const int seeds = from_environment("KEEPD_SEEDS", 300);
const int events = from_environment("KEEPD_EVENTS", 2000);

// What must hold of a program at any moment; "" if it does.
std::string fault_of(const std::string& name, const Program& program) {
    if (program.spec.name != name) return "its name is not its key";
    return std::visit(
        overloaded{
            [&](const Stopped&) -> std::string {
                return program.goal == Goal::down ? "" : "stopped, but not wanted down";
            },
            [&](const Starting& here) -> std::string {
                if (program.goal != Goal::up) return "starting, but not wanted up";
                return here.run == program.run ? "" : "starting an old run";
            },
            [&](const Running& here) -> std::string {
                if (program.goal != Goal::up) return "running, but not wanted up";
                return here.run == program.run ? "" : "an old run is running";
            },
            [&](const Stopping& here) -> std::string {
                if (here.run != program.run) return "stopping an old run";
                if (!here.ordered && program.goal != Goal::up) return "not ordered, but not wanted up";
                return here.ordered || here.ended ? "" : "nobody ordered the stop and nothing ended";
            },
            [&](const Backoff&) -> std::string {
                return program.goal == Goal::up ? "" : "waits, but is not wanted up";
            },
            [&](const Completed&) -> std::string { return program.goal == Goal::removed ? "not forgotten" : ""; },
            [&](const Failed&) -> std::string { return program.goal == Goal::removed ? "not forgotten" : ""; },
        },
        program.phase);
}

std::string faults_of(const State& state) {
    std::string faults;
    for (const auto& [name, program] : state.programs) {
        const std::string fault = fault_of(name, program);
        if (!fault.empty()) faults += name + ": " + fault + "\n";
        if (program.retry.starts.size() >
            static_cast<std::size_t>(std::max(program.spec.restart.start_limit_burst, 10)))
            faults += name + ": remembers too many starts\n";
    }
    return faults;
}

// As rebuild_agenda() does it, without a copy of the state.
Agenda agenda_of(const State& state) {
    Agenda agenda;
    for (const auto& [name, program] : state.programs)
        agenda.set(name, std::nullopt, deadline_of(program.phase));
    return agenda;
}

std::string told(const Effects& effects) {
    std::string text;
    for (const std::string& name : effects.touched)
        text += name + " ";
    for (const Action& action : effects.actions)
        text += test::action_text(action) + "\n";
    return text;
}

} // namespace

TEST_CASE("random histories: what is saved is sound after every event") {
    for (int seed = 1; seed <= seeds; ++seed) {
        RandomHistory history(static_cast<std::uint64_t>(seed));
        for (int i = 0; i < events; ++i) {
            const bool goes_on = history.advance();
            const Agenda rebuilt = agenda_of(history.state());
            const std::string faults = faults_of(history.state());
            if (faults.empty() && rebuilt == history.state().agenda && history.complaints().empty()) {
                if (goes_on) continue;
                break;
            }
            CAPTURE(seed);
            CAPTURE(i);
            CHECK(faults == "");
            CHECK(rebuilt == history.state().agenda);
            for (const std::string& complaint : history.complaints())
                FAIL_CHECK(complaint);
            return;
        }
    }
}

TEST_CASE("random histories: nothing that is due stays undone when time has passed") {
    for (int seed = 1; seed <= seeds / 10; ++seed) {
        RandomHistory history(static_cast<std::uint64_t>(seed));
        for (int i = 0; i < events && history.advance(); ++i) {
            if (!std::holds_alternative<TimePassed>(history.last_event())) continue;
            const auto next = next_deadline(history.state());
            // A deadline that the step itself made for at once (a rung without a wait, an upgrade) was carried out,
            // too.
            if (!next || *next > history.now().time) continue;
            CAPTURE(seed);
            CAPTURE(i);
            FAIL("still due");
        }
    }
}

TEST_CASE("random histories: late events of older runs change nothing") {
    for (int seed = 1; seed <= seeds / 10; ++seed) {
        RandomHistory history(static_cast<std::uint64_t>(seed));
        for (int i = 0; i < events && history.advance(); ++i) {
            if (i % 3 != 0) continue;
            const Event late = history.late_event();
            State state = history.state();
            const Effects effects = step(state, late, history.now());
            if (state == history.state() && effects.actions.empty() && effects.touched.empty() &&
                !effects.daemon_touched)
                continue;
            CAPTURE(seed);
            CAPTURE(i);
            FAIL("an event of the past had an effect: ", late.index());
        }
    }
}

TEST_CASE("random histories: each exit is told exactly once") {
    for (int seed = 1; seed <= seeds / 10; ++seed) {
        RandomHistory history(static_cast<std::uint64_t>(seed));
        std::map<std::uint64_t, std::size_t> told;
        std::uint64_t last_number = 0;
        bool goes_on = true;
        for (int i = 0; i < events && goes_on; ++i) {
            goes_on = history.advance();
            for (const Action& action : history.last_effects().actions) {
                const auto* said = std::get_if<Announce>(&action);
                if (said == nullptr) continue;
                REQUIRE(said->notice.number > last_number);
                last_number = said->notice.number;
                if (said->notice.kind == Notice::Kind::exited) {
                    ++told[said->notice.run.value];
                    REQUIRE(said->notice.exit.has_value());
                }
            }
        }
        for (const auto& [run, count] : told) {
            REQUIRE(count == 1);
            REQUIRE(history.exits_reported(RunId{run}) == 1);
        }
        std::size_t reported = 0;
        for (std::uint64_t run = 1; run < history.state().daemon.next_run; ++run)
            reported += history.exits_reported(RunId{run});
        REQUIRE(reported == told.size());
    }
}

TEST_CASE("random histories: what changed is touched, and only that") {
    for (int seed = 1; seed <= seeds / 10; ++seed) {
        RandomHistory history(static_cast<std::uint64_t>(seed));
        for (int i = 0; i < events; ++i) {
            const State before = history.state();
            if (!history.advance()) break;
            const State& after = history.state();
            std::vector<std::string> changed;
            for (const auto& [name, program] : before.programs)
                if (!after.programs.contains(name) || after.programs.at(name) != program) changed.push_back(name);
            for (const auto& [name, program] : after.programs)
                if (!before.programs.contains(name)) changed.push_back(name);
            const auto& touched = history.last_effects().touched;
            for (const std::string& name : changed)
                REQUIRE_MESSAGE(std::ranges::find(touched, name) != touched.end(), name, " changed untold, event ",
                                history.last_event().index(), " seed ", seed);
            REQUIRE((before.daemon == after.daemon || history.last_effects().daemon_touched));
        }
    }
}

TEST_CASE("random histories: keepd always ends when it is asked to") {
    int codes[2] = {0, 0};
    for (int seed = 1; seed <= seeds; ++seed) {
        RandomHistory history(static_cast<std::uint64_t>(seed));
        const int before = static_cast<int>(static_cast<unsigned>(seed) * 37 % 500);
        bool ended = false;
        for (int i = 0; i < before && !ended; ++i)
            ended = !history.advance();
        if (ended) continue;
        const Time asked = history.now().time;
        const int code = history.shut_down();
        REQUIRE((code == 0 || code == 1));
        ++codes[code];
        const auto live = std::ranges::count_if(history.state().programs,
                                                [](const auto& entry) { return live_run(entry.second).value != 0; });
        CHECK((live != 0) == (code == 1));
        CHECK(history.now().time - asked <= std::chrono::seconds(60 + 10)); // the longest shutdown_timeout, the grace
        CHECK(history.complaints().empty());
    }
    CHECK(codes[0] > 0);
}

TEST_CASE("random histories: the same seed, the same effects") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        RandomHistory one(seed), two(seed);
        for (int i = 0; i < events; ++i) {
            const bool goes_on = one.advance();
            REQUIRE(goes_on == two.advance());
            REQUIRE(told(one.last_effects()) == told(two.last_effects()));
            if (!goes_on) break;
        }
        CHECK(one.state() == two.state());
    }
}

TEST_CASE("random histories: every state can be explained") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        RandomHistory history(seed);
        for (int i = 0; i < events && history.advance(); ++i) {
            const State& state = history.state();
            const Counts counts = count(state);
            REQUIRE(counts.total == counts.up + counts.waiting + counts.failed + counts.down);
            for (const auto& [name, program] : state.programs) {
                const std::string text = explain(program, history.now().time);
                REQUIRE_MESSAGE(!text.empty(), name);
                REQUIRE_MESSAGE(text.find(", ,") == std::string::npos, text);
                for (const auto kind : {Wish::Kind::started, Wish::Kind::stopped, Wish::Kind::restarted}) {
                    const Progress now = progress(state, Wish{kind, name, program.run}, history.now().time);
                    REQUIRE((now.verdict == Progress::Verdict::pending) == now.text.empty());
                }
            }
        }
    }
}

TEST_CASE("start limits hold for any pattern of exits") {
    using namespace std::chrono_literals;
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        std::mt19937_64 random(seed);
        auto plan = std::make_shared<keepd::config::Plan>();
        keepd::config::Program& program = plan->programs["web"];
        program.name = "web";
        program.restart.delay = std::chrono::milliseconds(random() % 3000);
        program.restart.start_limit_burst = 1 + static_cast<int>(random() % 5);
        program.restart.start_limit_interval = std::chrono::seconds(1 + random() % 60);
        program.restart.reset_after = 24h;
        program.restart.slow_delay = 30min;
        const keepd::config::Restart restart = program.restart;

        State state;
        Now now{Time{1000s}, {}};
        step(state, PlanLoaded{plan}, now);
        std::vector<Time> automatic;
        for (int i = 0; i < 400; ++i) {
            const RunId run = state.programs.at("web").run;
            step(state, Spawned{"web", run, 5}, now);
            now.time += std::chrono::milliseconds(random() % 4000);
            step(state, Exited{"web", run, ExitStatus::exited(1), {}, true}, now);
            if (const auto at = next_deadline(state)) {
                now.time = *at;
                step(state, TimePassed{}, now);
            }
            automatic.push_back(now.time);
        }
        const auto burst = static_cast<std::size_t>(restart.start_limit_burst);
        for (std::size_t i = burst; i < automatic.size(); ++i) {
            INFO("seed ", seed, " start ", i);
            REQUIRE(automatic[i] - automatic[i - burst] >= std::min<Duration>(restart.start_limit_interval, 30min));
        }
    }
}
