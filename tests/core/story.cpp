#include "tests/core/story.hpp"

#include <memory>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "daemon/core/describe.hpp"
#include "daemon/core/plan_diff.hpp"
#include "daemon/core/progress.hpp"
#include "daemon/core/step.hpp"
#include "tests/core/effect_text.hpp"
#include "tests/core/story_words.hpp"

namespace keepd::core::test {

namespace {

class Teller {
  public:
    std::vector<std::string> tell(const Story& story) {
        for (std::size_t i = 0; i < story.lines.size(); ++i) {
            const std::string& line = story.lines[i];
            if (line.starts_with("> ")) continue; // what was expected
            out_.push_back(line);
            if (line.empty() || line[0] == '#') continue;
            const auto words = words_of(line);
            if (words[0] == "plan") {
                std::vector<std::string> block;
                while (i + 1 < story.lines.size() && story.lines[i + 1].starts_with("  ")) {
                    block.push_back(story.lines[++i]);
                    out_.push_back(block.back());
                }
                read_time(words);
                load(block, words.size() > 1 && words[1] == "dry-run");
            } else if (words[0] == "states") {
                says_states_ = true;
            } else if (words[0] == "?") {
                answer(words);
            } else {
                happen(parse_event(without_time(line)));
            }
        }
        return std::move(out_);
    }

  private:
    // "... at 5s" ends a line; without it, it is still the time of the line before.
    void read_time(const std::vector<std::string>& words) {
        if (words.size() < 3 || words[words.size() - 2] != "at") return;
        const Time at{parse_span(words.back())};
        if (at < now_.time) throw std::runtime_error("time goes backwards: " + words.back());
        now_ = {at, WallTime{at.time_since_epoch().count()}};
    }
    std::string without_time(const std::string& line) {
        const auto words = words_of(line);
        read_time(words);
        const auto at = line.rfind(" at ");
        const bool timed = words.size() >= 3 && words[words.size() - 2] == "at";
        return timed ? line.substr(0, at) : line;
    }

    void load(const std::vector<std::string>& block, bool dry_run) {
        auto plan = std::make_shared<config::Plan>();
        for (const std::string& line : block) {
            if (is_settings(line)) {
                parse_settings(line, plan->daemon);
            } else {
                config::Program program = parse_program(line);
                plan->programs.emplace(program.name, program);
            }
        }
        if (dry_run) {
            for (const std::string& line : describe(diff(state_, *plan), state_))
                expect(line);
            return;
        }
        happen(PlanLoaded{std::move(plan)});
    }

    void happen(const Event& event) {
        const State before = state_;
        const Effects effects = step(state_, event, now_);
        State again = state_;
        rebuild_agenda(again);
        if (again.agenda != state_.agenda) throw std::runtime_error("the agenda does not match the phases");
        tell_phases(before, effects);
        for (const Action& action : effects.actions) {
            const auto* said = std::get_if<Announce>(&action);
            const bool detail = said != nullptr && (said->notice.kind == Notice::Kind::state ||
                                                    said->notice.kind == Notice::Kind::started);
            if (!detail || says_states_) expect(action_text(action));
        }
        if (effects.actions.empty() && state_ == before) expect("nothing");
    }

    void tell_phases(const State& before, const Effects& effects) {
        for (const std::string& name : effects.touched) {
            const auto now = state_.programs.find(name);
            if (now == state_.programs.end()) {
                expect(name + " gone");
                continue;
            }
            const auto then = before.programs.find(name);
            const std::string text = phase_text(now->second);
            if (then == before.programs.end() || phase_text(then->second) != text) expect(name + " " + text);
        }
    }

    // "? why web", "? progress started web", "? deadline", "? outcome reload"
    void answer(const std::vector<std::string>& words) {
        read_time(words);
        const std::string& what = words.at(1);
        if (what == "deadline") {
            const auto at = next_deadline(state_);
            expect(at ? time_text(*at) : "none");
        } else if (what == "why") {
            const Program& program = state_.programs.at(words.at(2));
            expect(std::string(state_word(program)) + ", cause \"" + std::string(cause_word(program.why.cause)) +
                   "\": " + explain(program, now_.time));
        } else if (what == "progress") {
            tell_progress(words);
        } else if (what == "last-reload") {
            const auto& outcome = state_.daemon.last_reload;
            expect(outcome ? (outcome->ok ? "ok: " : "not ok: ") + outcome->text : "none");
        } else if (what == "upgrade-refusal") {
            expect(upgrade_refusal(state_).value_or("none"));
        } else if (what == "refused") {
            const Refused* refused = refused_before(state_.daemon, parse_file(words.at(2)));
            expect(refused != nullptr ? refused->text : "none");
        } else if (what == "generation") {
            expect(std::to_string(state_.daemon.generation));
        } else if (what == "restarts") {
            expect(std::to_string(state_.programs.at(words.at(2)).restarts));
        } else if (what == "reload-wishes") {
            const RunId first{words.size() > 2 ? std::stoull(words[2].substr(words[2].find('#') + 1))
                                               : state_.daemon.next_run};
            for (const Wish& wish : wishes_of_reload(state_, first))
                expect(kind_text(wish.kind) + " " + wish.name);
        } else {
            throw std::runtime_error("can't answer: " + what);
        }
    }

    static std::string kind_text(Wish::Kind kind) {
        switch (kind) {
        case Wish::Kind::started: return "started";
        case Wish::Kind::stopped: return "stopped";
        case Wish::Kind::restarted: return "restarted";
        case Wish::Kind::removed: return "removed";
        case Wish::Kind::over: return "over";
        }
        return {};
    }

    // "? progress restarted web after=2"
    void tell_progress(const std::vector<std::string>& words) {
        Wish wish;
        const std::string& kind = words.at(2);
        for (const auto each :
             {Wish::Kind::started, Wish::Kind::stopped, Wish::Kind::restarted, Wish::Kind::removed, Wish::Kind::over})
            if (kind_text(each) == kind) wish.kind = each;
        if (wish.kind != Wish::Kind::over) wish.name = words.at(3);
        if (words.size() > 4 && words[4].starts_with("after=")) wish.after = RunId{std::stoull(words[4].substr(6))};
        const Progress result = progress(state_, wish, now_.time);
        switch (result.verdict) {
        case Progress::Verdict::pending: expect("pending"); break;
        case Progress::Verdict::done: expect("done: " + result.text); break;
        case Progress::Verdict::failed: expect("failed: " + result.text); break;
        }
    }

    void expect(const std::string& text) { out_.push_back("> " + text); }

    State state_;
    Now now_{};
    bool says_states_ = false;
    std::vector<std::string> out_;
};

} // namespace

std::vector<Story> stories_of(const std::string& text) {
    std::vector<Story> stories;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with("== "))
            stories.push_back({line.substr(3), {}});
        else if (!stories.empty())
            stories.back().lines.push_back(line);
    }
    return stories;
}

std::vector<std::string> tell_again(const Story& story) {
    return Teller().tell(story);
}

} // namespace keepd::core::test
