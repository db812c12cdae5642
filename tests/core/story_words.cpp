#include "tests/core/story_words.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <sstream>
#include <stdexcept>

#include "lib/base/signals.hpp"

namespace keepd::core::test {

namespace {

[[noreturn]] void unreadable(const std::string& what) {
    throw std::runtime_error("can't read: " + what);
}

int parse_signal_word(const std::string& text) {
    if (const auto number = keep::parse_signal(text)) return *number;
    unreadable("signal " + text);
}

template <typename Value>
Value pick(const std::string& text, const std::map<std::string, Value>& words) {
    const auto found = words.find(text);
    if (found == words.end()) unreadable(text);
    return found->second;
}

std::vector<std::string> split(const std::string& text, char separator) {
    std::vector<std::string> parts;
    std::istringstream in(text);
    for (std::string part; std::getline(in, part, separator);)
        parts.push_back(part);
    return parts;
}

std::vector<config::ExitMatch> parse_matches(const std::string& text) {
    std::vector<config::ExitMatch> matches;
    for (const std::string& part : split(text, ',')) {
        const bool code = part.find_first_not_of("0123456789") == std::string::npos;
        if (code)
            matches.push_back({config::ExitMatch::Kind::code, std::stoi(part)});
        else
            matches.push_back({config::ExitMatch::Kind::signal, parse_signal_word(part)});
    }
    return matches;
}

std::vector<config::StopStep> parse_sequence(const std::string& text) {
    std::vector<config::StopStep> sequence;
    for (const std::string& step : split(text, ',')) {
        const auto parts = split(step, ':');
        if (parts.size() != 2) unreadable(text);
        sequence.push_back({parse_signal_word(parts[0]), parse_span(parts[1])});
    }
    return sequence;
}

config::Output parse_output(const std::string& text) {
    using Kind = config::Output::Kind;
    if (text == "null") return {Kind::null, {}};
    if (text == "inherit") return {Kind::inherit, {}};
    if (text == "stdout") return {Kind::to_stdout, {}};
    return {Kind::file, text};
}

using Setter = std::function<void(config::Program&, const std::string&)>;

const std::map<std::string, Setter>& setters() {
    using P = config::Program;
    using T = const std::string;
    static const std::map<std::string, Setter> all{
        {"command", [](P& p, T& t) { p.argv = {t}; }},
        {"executable", [](P& p, T& t) { p.executable = t; }},
        {"type",
         [](P& p, T& t) {
             p.type = pick<config::Type>(t, {{"simple", config::Type::simple}, {"oneshot", config::Type::oneshot}});
             if (p.type == config::Type::oneshot) p.restart.policy = config::RestartPolicy::no;
         }},
        {"autostart", [](P& p, T& t) { p.autostart = t == "true"; }},
        {"description", [](P& p, T& t) { p.description = t; }},
        {"umask", [](P& p, T& t) { p.umask = static_cast<std::uint32_t>(std::stoul(t, nullptr, 8)); }},
        {"stdout", [](P& p, T& t) { p.out = parse_output(t); }},
        {"stdout.max_size", [](P& p, T& t) { p.out.max_size = std::stoull(t); }},
        {"stderr", [](P& p, T& t) { p.err = parse_output(t); }},
        {"restart.policy",
         [](P& p, T& t) {
             using R = config::RestartPolicy;
             p.restart.policy = pick<R>(t, {{"no", R::no},
                                            {"always", R::always},
                                            {"on-failure", R::on_failure},
                                            {"on-abnormal", R::on_abnormal}});
         }},
        {"restart.delay", [](P& p, T& t) { p.restart.delay = parse_span(t); }},
        {"restart.backoff_factor", [](P& p, T& t) { p.restart.backoff_factor = std::stod(t); }},
        {"restart.max_delay", [](P& p, T& t) { p.restart.max_delay = parse_span(t); }},
        {"restart.jitter", [](P& p, T& t) { p.restart.jitter = std::stod(t); }},
        {"restart.reset_after", [](P& p, T& t) { p.restart.reset_after = parse_span(t); }},
        {"restart.start_limit_burst", [](P& p, T& t) { p.restart.start_limit_burst = std::stoi(t); }},
        {"restart.start_limit_interval", [](P& p, T& t) { p.restart.start_limit_interval = parse_span(t); }},
        {"restart.start_limit_action",
         [](P& p, T& t) {
             using A = config::StartLimitAction;
             p.restart.start_limit_action =
                 pick<A>(t, {{"slow", A::slow}, {"fail", A::fail}, {"shutdown", A::shutdown}});
         }},
        {"restart.slow_delay", [](P& p, T& t) { p.restart.slow_delay = parse_span(t); }},
        {"restart.success_exit_codes", [](P& p, T& t) { p.restart.success_exit_codes = parse_matches(t); }},
        {"restart.prevent_exit_codes", [](P& p, T& t) { p.restart.prevent_exit_codes = parse_matches(t); }},
        {"restart.force_exit_codes", [](P& p, T& t) { p.restart.force_exit_codes = parse_matches(t); }},
        {"stop.signal", [](P& p, T& t) { p.stop.sequence.at(0).signal = parse_signal_word(t); }},
        {"stop.timeout", [](P& p, T& t) { p.stop.sequence.at(0).wait = parse_span(t); }},
        {"stop.sequence", [](P& p, T& t) { p.stop.sequence = parse_sequence(t); }},
        {"stop.kill_mode",
         [](P& p, T& t) {
             using M = config::KillMode;
             p.stop.kill_mode = pick<M>(t, {{"tree", M::tree}, {"group", M::group}, {"process", M::process}});
         }},
    };
    return all;
}

std::pair<std::string, std::string> key_and_value(const std::string& word) {
    const auto equals = word.find('=');
    if (equals == std::string::npos) unreadable(word);
    return {word.substr(0, equals), word.substr(equals + 1)};
}

// "web#3"
std::pair<std::string, RunId> parse_run(const std::string& word) {
    const auto hash = word.find('#');
    if (hash == std::string::npos) unreadable(word);
    return {word.substr(0, hash), RunId{std::stoull(word.substr(hash + 1))}};
}

ExitStatus parse_status(const std::string& word) {
    if (word == "unknown") return {};
    const auto [key, value] = key_and_value(word);
    if (key == "code") return ExitStatus::exited(std::stoi(value));
    if (key == "signal") return ExitStatus::signaled(parse_signal_word(value));
    unreadable(word);
}

std::string rest(const std::vector<std::string>& words, std::size_t from) {
    std::string text;
    for (std::size_t i = from; i < words.size(); ++i)
        text += (text.empty() ? "" : " ") + words[i];
    return text;
}

Exited parse_exited(const std::vector<std::string>& words) {
    const auto [name, run] = parse_run(words.at(1));
    const bool leaves = words.size() > 3 && words[3] == "leaving-others";
    return {name, run, parse_status(words.at(2)), {}, !leaves};
}

} // namespace

std::vector<std::string> words_of(const std::string& line) {
    std::istringstream in(line);
    std::vector<std::string> words;
    for (std::string word; in >> word;)
        words.push_back(word);
    return words;
}

keep::Duration parse_span(const std::string& text) {
    if (const auto duration = keep::parse_duration(text)) return *duration;
    unreadable("duration " + text);
}

FileIdentity parse_file(const std::string& word) {
    const auto [key, value] = key_and_value(word);
    if (key != "inode") unreadable(word);
    return {.inode = std::stoull(value), .size = 1000};
}

bool is_settings(const std::string& line) {
    return words_of(line).at(0) == "keepd";
}

config::Program parse_program(const std::string& line) {
    const auto words = words_of(line);
    config::Program program;
    program.name = program.base = words.at(0);
    program.argv = {"/bin/" + program.name};
    program.executable = program.argv[0];
    program.out.path = "/log/" + program.name;
    program.restart.jitter = 0;
    for (std::size_t i = 1; i < words.size(); ++i) {
        const auto [key, value] = key_and_value(words[i]);
        const auto found = setters().find(key);
        if (found == setters().end()) unreadable(words[i]);
        found->second(program, value);
    }
    return program;
}

void parse_settings(const std::string& line, config::Daemon& settings) {
    const auto words = words_of(line);
    for (std::size_t i = 1; i < words.size(); ++i) {
        const auto [key, value] = key_and_value(words[i]);
        if (key == "shutdown_timeout")
            settings.shutdown_timeout = parse_span(value);
        else if (key == "upgrade.min_interval")
            settings.upgrade.min_interval = parse_span(value);
        else if (key == "log.target")
            settings.log.target = value;
        else if (key == "state_dir")
            settings.state_dir = value;
        else
            unreadable(words[i]);
    }
}

Event parse_event(const std::string& line) {
    const auto words = words_of(line);
    const std::string& verb = words.at(0);
    if (verb == "time") return TimePassed{};
    if (verb == "reload") return ReloadAsked{};
    if (verb == "refused") return PlanRefused{rest(words, 1)};
    if (verb == "shutdown") return ShutdownAsked{rest(words, 1)};
    if (verb == "SIGUSR2") return UpgradeSignalled{};
    if (verb == "binary-changed") return BinaryChanged{parse_file(words.at(1)), rest(words, 2) == "running"};
    if (verb == "upgrade-begun")
        return words.size() > 2 ? UpgradeBegun{words.at(1), parse_file(words[2])} : UpgradeBegun{words.at(1)};
    if (verb == "upgrade-failed") return UpgradeFinished{false, false, rest(words, 1), false, true};
    if (verb == "upgrade-done") return UpgradeFinished{true, true, rest(words, 1)};
    if (verb == "upgrade-refused") return UpgradeFinished{false, false, rest(words, 1)};
    if (verb == "recovered") return Recovered{rest(words, 1), true};
    if (verb == "start") return StartAsked{words.at(1), 0};
    if (verb == "stop") return StopAsked{words.at(1), 0};
    if (verb == "restart") return RestartAsked{words.at(1), 0};
    if (verb == "signal") return SignalAsked{words.at(1), 0, parse_signal_word(words.at(2))};
    if (verb == "exited") return parse_exited(words);
    if (verb != "spawned" && verb != "spawn-failed" && verb != "empty" && verb != "survived") unreadable(line);
    const auto [name, run] = parse_run(words.at(1));
    if (verb == "spawned") return Spawned{name, run, static_cast<int>(100 + run.value)};
    if (verb == "spawn-failed") return SpawnFailed{name, run, rest(words, 2)};
    if (verb == "empty") return TreeEmpty{name, run};
    return Survived{name, run, {rest(words, 2)}};
}

} // namespace keepd::core::test
