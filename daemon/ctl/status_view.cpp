#include "daemon/ctl/status_view.hpp"

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "daemon/ctl/json_read.hpp"
#include "daemon/ctl/text_width.hpp"
#include "lib/base/text.hpp"
#include "lib/base/time.hpp"

namespace keepd::ctl {
namespace {

using nlohmann::json;

constexpr const char* filled = "●";
constexpr const char* hollow = "○";
constexpr const char* none = "-";

std::string human(double seconds) {
    return keep::to_human(keep::Duration(static_cast<std::int64_t>(std::max(seconds, 0.0) * 1e9)));
}

std::string human_or_none(const std::optional<double>& seconds) {
    return seconds ? human(*seconds) : none;
}

std::string number_or_none(const std::optional<std::int64_t>& number) {
    return number ? std::to_string(*number) : none;
}

struct StateLook {
    const char* dot;
    Color color;
};
StateLook look_of(const std::string& state) {
    if (state == "running") return {filled, Color::green};
    if (state == "completed") return {hollow, Color::green};
    if (state == "failed") return {filled, Color::red};
    if (state == "backoff" || state == "starting" || state == "stopping") return {filled, Color::yellow};
    if (state == "waiting") return {hollow, Color::yellow};
    return {hollow, Color::dim}; // stopped, disabled
}

std::string log_problems(const json& program) {
    std::string problems;
    for (const auto& [stream, status] : object_of(program, "log").items()) {
        std::string problem = text_of(status, "problem");
        if (problem.empty()) continue;
        if (!problems.empty()) problems += "; ";
        problems += stream + ": " + problem;
    }
    return problems;
}

// A program that runs speaks for itself; of any other one it is said why it does not and what is next.
std::string note(const json& program) {
    const std::string problems = log_problems(program);
    if (text_of(program, "state") == "running") return problems;
    std::string text = text_of(program, "text");
    if (!problems.empty()) text += "; " + problems;
    return text;
}

std::string short_build(const std::string& build_id) {
    return build_id.substr(0, 12);
}

std::string counts_text(const json& daemon) {
    const json& counts = object_of(daemon, "counts");
    const std::int64_t total = number_of(counts, "total").value_or(0);
    std::string text = std::to_string(total) + (total == 1 ? " program" : " programs");
    const char* separator = ": ";
    for (const char* word : {"up", "waiting", "failed", "down"}) {
        const std::int64_t count = number_of(counts, word).value_or(0);
        if (count == 0) continue;
        text += separator + std::to_string(count) + " " + word;
        separator = ", ";
    }
    return text;
}

// What went wrong last, in red; a success needs no line.
std::string failure_line(const json& daemon, const char* member, const char* what, const Look& look) {
    const json& last = object_of(daemon, member);
    if (last.empty() || flag_of(last, "ok")) return {};
    std::string text = std::string("last ") + what + " failed at " + text_of(last, "at") + ":";
    std::string lines;
    std::string rest = text_of(last, "text");
    const bool several = rest.find('\n') != std::string::npos;
    for (std::size_t begin = 0; begin < rest.size();) {
        const std::size_t end = std::min(rest.find('\n', begin), rest.size());
        lines += (several ? "\n  " : " ") + printable(rest.substr(begin, end - begin));
        begin = end + 1;
    }
    return painted(text + lines, Color::red, look) + "\n";
}

std::string daemon_lines(const json& daemon, const Look& look) {
    std::string text = painted("keepd " + text_of(daemon, "version"), Color::bold, look);
    if (const std::string build = text_of(daemon, "build_id"); !build.empty()) {
        text += " (build " + short_build(build) + ")";
    }
    text += " · pid " + number_or_none(number_of(daemon, "pid"));
    text += " · generation " + number_or_none(number_of(daemon, "generation"));
    text += " · up " + human_or_none(seconds_of(daemon, "uptime_s"));
    text += " · " + counts_text(daemon) + "\n";
    if (const std::string trees = text_of(daemon, "process_trees"); trees != "cgroup") {
        text += painted("trees: only a program's process group is watched, not its whole tree (no cgroup to use)",
                        Color::yellow, look) +
                "\n";
    }
    const std::string stage = text_of(daemon, "stage");
    if (stage != "serving") text += painted("keepd is shutting down", Color::yellow, look) + "\n";
    if (flag_of(daemon, "upgrading")) text += painted("an upgrade is under way", Color::yellow, look) + "\n";
    text += failure_line(daemon, "last_reload", "reload", look);
    text += failure_line(daemon, "last_upgrade", "upgrade", look);
    text += failure_line(daemon, "last_adoption", "adoption", look);
    return text;
}

std::vector<Cell> row(const json& program) {
    const std::string state = text_of(program, "state");
    const StateLook state_look = look_of(state);
    const auto& exit = object_of(program, "exit");
    const std::string last = exit_text(exit);
    const bool clean = last == none || number_of(exit, "code") == 0;
    return {
        {printable(text_of(program, "name")), Color::none},
        {std::string(state_look.dot) + " " + state, state_look.color},
        {number_or_none(number_of(program, "pid")), Color::none},
        {human_or_none(seconds_of(program, "uptime_s")), Color::none},
        {number_or_none(number_of(program, "restarts")), Color::none},
        {last, clean ? Color::none : Color::yellow},
        {printable(note(program)), Color::none},
    };
}

struct Line {
    std::string name;
    std::string value;
};

std::vector<Line> detail_lines(const json& program) {
    std::vector<Line> lines;
    const auto add = [&](const char* name, std::string value) {
        if (!value.empty()) lines.push_back({name, printable(value)});
    };
    const auto uptime = seconds_of(program, "uptime_s");
    add("state", text_of(program, "state") + " since " + text_of(program, "since"));
    add("why", text_of(program, "text"));
    if (const auto pid = number_of(program, "pid")) {
        add("process", "pid " + std::to_string(*pid) + ", run " + number_or_none(number_of(program, "run")) +
                           (uptime ? ", up " + human(*uptime) : ""));
    }
    if (const auto next = seconds_of(program, "next_start_in_s")) add("next start", "in " + human(*next));
    add("restarts", number_or_none(number_of(program, "restarts")) + ", failures in a row " +
                        number_or_none(number_of(program, "failures")));
    if (const json& exit = object_of(program, "exit"); !exit.empty()) {
        add("last exit", exit_text(exit) + " at " + text_of(program, "exit_at") + ", after " +
                             human_or_none(seconds_of(program, "exit_uptime_s")));
    }
    if (const auto memory = number_of(program, "memory_bytes")) {
        add("memory", keep::human_size(static_cast<std::uint64_t>(*memory)));
    }
    if (const auto cpu = seconds_of(program, "cpu_s")) add("cpu", human(*cpu));
    std::string command;
    for (const std::string& word : texts_of(program, "command"))
        command += (command.empty() ? "" : " ") + word;
    add("command", command);
    for (const auto& [stream, status] : object_of(program, "log").items()) {
        const auto dropped = number_of(status, "dropped_bytes").value_or(0);
        std::string text = text_of(status, "path");
        if (!text.empty()) text += ", ";
        text += keep::human_size(static_cast<std::uint64_t>(number_of(status, "bytes").value_or(0)));
        text += " written";
        if (dropped > 0) text += ", " + keep::human_size(static_cast<std::uint64_t>(dropped)) + " dropped";
        if (const std::string problem = text_of(status, "problem"); !problem.empty()) text += ", " + problem;
        add(stream == "stdout" ? "stdout" : "stderr", text);
    }
    return lines;
}

} // namespace

std::string exit_text(const json& exit) {
    if (const auto exit_code = number_of(exit, "code")) return "exit " + std::to_string(*exit_code);
    if (const std::string signal = text_of(exit, "signal"); !signal.empty()) {
        return flag_of(exit, "core") ? signal + " (core)" : signal;
    }
    return flag_of(exit, "unknown") ? "unknown" : none;
}

json in_natural_order(const json& programs) {
    json sorted = programs.is_array() ? programs : json::array();
    // (nlohmann's iterators are older than ranges)
    std::sort(sorted.begin(), sorted.end(), [](const json& left, const json& right) {
        return natural_less(text_of(left, "name"), text_of(right, "name"));
    });
    return sorted;
}

std::string status_table(const json& reply, const Look& look) {
    std::vector<std::vector<Cell>> rows;
    for (const json& program : in_natural_order(list_of(reply, "programs")))
        rows.push_back(row(program));
    std::string text = daemon_lines(object_of(reply, "daemon"), look);
    if (rows.empty()) return text;
    return text + "\n" +
           table({{"NAME"},
                  {"STATE"},
                  {"PID", true},
                  {"UPTIME", true},
                  {"RESTARTS", true},
                  {"LAST EXIT"},
                  {"NEXT / NOTE"}},
                 rows, look);
}

std::string status_details(const json& reply, const Look& look) {
    std::string text;
    for (const json& program : in_natural_order(list_of(reply, "programs"))) {
        const StateLook state = look_of(text_of(program, "state"));
        if (!text.empty()) text += "\n";
        text += painted(state.dot, state.color, look) + " " +
                painted(printable(text_of(program, "name")), Color::bold, look);
        if (const std::string about = text_of(program, "description"); !about.empty()) {
            text += " - " + printable(about);
        }
        text += "\n";
        for (const Line& line : detail_lines(program)) {
            text += std::string(12 - std::min<std::size_t>(12, line.name.size()), ' ') + line.name + ": " + line.value +
                    "\n";
        }
    }
    return text;
}

} // namespace keepd::ctl
