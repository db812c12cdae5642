// Random histories of a keepd: a simulated host with processes that live, die, leave others behind and ignore signals;
// operators, reloads, upgrades and shutdowns at random; late events of older runs. The same seed gives the same
// history. For tests of invariants, and as a source of States for others (for_each_random_state).
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "daemon/core/step.hpp"

namespace keepd::core::test {

class RandomHistory {
  public:
    explicit RandomHistory(std::uint64_t seed);

    // One more event happens; its orders are carried out by the simulated host, which may answer in later events.
    // Returns false once keepd has ended.
    bool advance();

    // From here on only what must happen does: keepd is asked to end, answers come, time passes. Returns the exit code
    // of keepd; throws std::runtime_error if it does not end within `most` events.
    int shut_down(int most = 5000);

    const State& state() const { return state_; }
    const Event& last_event() const { return last_event_; }
    const Effects& last_effects() const { return last_effects_; }
    Now now() const { return now_; }
    std::size_t exits_reported(RunId run) const; // true exits that were given to the policy: 0 or 1

    // Violations of what a host must be able to count on, found on the way: two live runs, a run that is spawned
    // twice, a signal to a run that never was, a program retired while it lives. Empty is good.
    const std::vector<std::string>& complaints() const { return complaints_; }

    // An event about a run of the past, or of a program that never was; step() must leave the state alone.
    Event late_event();

  private:
    struct Process {
        std::string name;
        bool answered = false; // Spawned was reported
        bool main_lives = true;
        bool exit_reported = false;
        int others = 0;        // other processes of the tree
        bool stubborn = false; // ignores everything but SIGKILL
        bool undying = false;  // ignores SIGKILL, for a while
    };

    std::size_t roll(std::size_t sides);
    bool chance(int percent);
    template <typename Element>
    const Element& any(const std::vector<Element>& elements) {
        return elements[roll(elements.size())];
    }

    void happen(const Event& event);
    void perform(const Action& action);
    void spawn(const Spawn& order);
    void signal(const Signal& order);
    void retire(const Retire& order);
    void answer_spawn(RunId run);
    void main_dies(RunId run);
    void others_go(RunId run);
    void die_by_itself();
    void report_pending();
    void let_time_pass();
    void random_wish();
    std::shared_ptr<const config::Plan> random_plan();
    config::Program random_program(const std::string& name);
    std::string random_name();
    ExitStatus random_status();
    void complain(const std::string& what) { complaints_.push_back(what); }

    std::mt19937_64 random_;
    State state_;
    Now now_{};
    Event last_event_ = TimePassed{};
    Effects last_effects_;
    std::map<std::uint64_t, Process> processes_; // by run, those that still matter
    std::deque<std::pair<std::string, RunId>> past_runs_;
    std::map<std::uint64_t, std::size_t> exits_reported_;
    std::deque<Event> pending_; // what the host has yet to report, in order
    std::uint64_t highest_run_ = 0;
    std::optional<int> quit_;
    bool ending_ = false; // shut_down(): the host is never late
    std::vector<std::string> complaints_;
};

// Calls back with the state after each of `events` events of the history of `seed` (which begins anew when its keepd
// has ended).
void for_each_random_state(std::uint64_t seed, int events, const std::function<void(const State&)>& callback);

} // namespace keepd::core::test
