// keepctl: the operator's command line. Verbs and options here; what they do in verbs.hpp.
#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <sys/ioctl.h>
#include <unistd.h>

#include "config/load.hpp"
#include "daemon/ctl/verbs.hpp"
#include "daemon/version.hpp"
#include "lib/base/signals.hpp"
#include "lib/base/text.hpp"

namespace keepd::ctl {
namespace {

Look look_at_terminal() {
    Look look;
    if (::isatty(STDOUT_FILENO) == 0) return look;
    const char* no_color = std::getenv("NO_COLOR"); // no-color.org: any value but the empty one
    const char* terminal = std::getenv("TERM");
    look.color = (!no_color || *no_color == '\0') && terminal && std::string_view(terminal) != "dumb";
    winsize size{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) look.columns = size.ws_col;
    return look;
}

std::string default_socket() {
    const char* named = std::getenv("KEEPD_SOCKET");
    return named && *named != '\0' ? named : config::default_socket(config::host_facts());
}

std::optional<keep::Duration> duration_of(const std::string& text) {
    if (auto duration = keep::parse_duration(text)) return duration;
    return keep::parse_duration(text + "s"); // a bare number: seconds
}

std::string check_duration(const std::string& text) {
    return duration_of(text) ? std::string() : "'" + text + "' is no duration such as 500ms, 10s or 2m";
}

std::string check_signal(const std::string& text) {
    return keep::parse_signal(text) ? std::string() : "'" + text + "' is no signal such as HUP, SIGUSR1 or 15";
}

std::string check_count(const std::string& text) {
    const bool number = !text.empty() && text.size() <= 9 && text.find_first_not_of("0123456789") == std::string::npos;
    return number || text == "all" ? std::string() : "'" + text + "' is neither a number nor 'all'";
}

std::optional<std::size_t> count_of(const std::string& text) {
    if (text == "all") return std::nullopt;
    return static_cast<std::size_t>(std::stoul(text));
}

// Everything that the command line can set; one object for all verbs.
struct Arguments {
    Common common;
    std::vector<std::string> names;
    std::string signal;
    std::string timeout;
    bool no_wait = false;
    bool dry_run = false;
    UpgradeOptions upgrade;
    bool follow = false;
    std::string lines = "10";
    std::string event_count = "all";
    std::string file;

    Waiting waiting() const { return {!no_wait, timeout.empty() ? std::nullopt : duration_of(timeout)}; }
};

using Run = std::function<ExitCode()>;

class CommandLine {
  public:
    CommandLine() : app_("Asks and tells keepd, the process supervisor that replaces itself under its programs.") {
        app_.name("keepctl");
        app_.require_subcommand(1);
        app_.fallthrough(); // --json and --socket may stand after the verb
        app_.add_option("--socket", arguments_.common.socket,
                        "keepd's control socket (default: KEEPD_SOCKET, or its place)")
            ->type_name("PATH");
        app_.add_flag("--json", arguments_.common.json, "print JSON instead of text");
        app_.set_version_flag("--version", std::string("keepctl ") + keepd::version());
        app_.footer("NAME is a program, a program with instances (web: all of web@1, web@2, ...), or a glob ('we*').\n"
                    "--socket and --json may stand after the verb, too.\n\n"
                    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no such program, 4 refused (permission, busy),\n"
                    "5 timed out, 6 keepd cannot be reached, 78 the config is wrong.");
        add_looking();
        add_changing();
        add_keepd();
    }

    int run(int argc, char** argv) {
        try {
            app_.parse(argc, argv);
        } catch (const CLI::ParseError& error) {
            const bool asked_for = error.get_exit_code() == 0; // --help, --version
            if (const auto unknown = unknown_verb({argv + 1, argv + argc}); !asked_for && !unknown.empty()) {
                std::fprintf(stderr, "keepctl: %s\n", unknown.c_str());
                return static_cast<int>(ExitCode::wrong_usage);
            }
            const int code = app_.exit(error);
            return asked_for ? code : static_cast<int>(ExitCode::wrong_usage);
        }
        arguments_.common.look = look_at_terminal();
        if (arguments_.common.socket.empty()) arguments_.common.socket = default_socket();
        return static_cast<int>(run_());
    }

  private:
    // What the library calls a missing subcommand, when there is one that it does not know.
    std::string unknown_verb(const std::vector<std::string>& words) const {
        if (!app_.get_subcommands().empty()) return {};
        std::vector<std::string> verbs;
        for (const CLI::App* sub : app_.get_subcommands([](const CLI::App*) { return true; }))
            verbs.push_back(sub->get_name());
        for (std::size_t at = 0; at < words.size(); ++at) {
            if (words[at] == "--socket")
                ++at;
            else if (!words[at].starts_with('-')) {
                const std::vector<std::string_view> known(verbs.begin(), verbs.end());
                const auto meant = keep::nearest(words[at], known);
                return "unknown verb '" + words[at] + "'" +
                       (meant ? ", did you mean '" + *meant + "'?" : "; see keepctl --help");
            }
        }
        return {};
    }

    CLI::App* verb(const char* name, const char* about, Run run) {
        CLI::App* sub = app_.add_subcommand(name, about);
        sub->callback([this, run = std::move(run)] { run_ = run; });
        return sub;
    }

    void names(CLI::App* sub, bool required) {
        CLI::Option* option = sub->add_option("NAME", arguments_.names, "programs, instances or globs");
        if (required) option->required();
    }

    void waits(CLI::App* sub) {
        sub->add_flag("--no-wait", arguments_.no_wait, "return as soon as it was asked for");
        sub->add_option("--timeout", arguments_.timeout, "wait no longer than that; what was asked for still stands")
            ->type_name("DURATION")
            ->check(CLI::Validator(check_duration, ""));
    }

    void add_looking() {
        Arguments& given = arguments_;
        names(verb("status", "what runs, since when, and why the rest does not; one NAME: in detail",
                   [&] { return status(given.common, given.names); }),
              false);
        CLI::App* log = verb("logs", "what programs wrote",
                             [&] { return logs(given.common, given.names, {given.follow, count_of(given.lines)}); });
        names(log, false);
        log->add_flag("-f,--follow", given.follow, "go on with what is being written");
        log->add_option("-n,--lines", given.lines, "last lines of each, or 'all'")
            ->type_name("N")
            ->capture_default_str()
            ->check(CLI::Validator(check_count, ""));
        CLI::App* event = verb("events", "what happened lately",
                               [&] { return events(given.common, {given.follow, count_of(given.event_count)}); });
        event->add_flag("-f,--follow", given.follow, "go on with what happens");
        event->add_option("-n,--lines", given.event_count, "that many of the recent ones, or 'all'")
            ->type_name("N")
            ->capture_default_str()
            ->check(CLI::Validator(check_count, ""));
        CLI::App* checks = verb("check", "read a config and tell every fault in it; asks no keepd",
                                [&] { return check(given.common, given.file); });
        checks->add_option("FILE", given.file, "default: keepd's own place");
        verb("version", "versions of keepctl and of the running keepd", [&] { return version(given.common); });
    }

    void add_changing() {
        Arguments& given = arguments_;
        struct Order {
            const char* verb;
            const char* method;
            const char* about;
        };
        for (const Order& what : {Order{"start", "Start", "start programs, and wait until they are up"},
                                  Order{"stop", "Stop", "stop programs, and wait until nothing of them is left"},
                                  Order{"restart", "Restart", "stop programs and start them again"}}) {
            CLI::App* sub = verb(what.verb, what.about, [&given, method = what.method] {
                return order(given.common, method, given.names, given.waiting());
            });
            names(sub, true);
            waits(sub);
        }
        CLI::App* sends = verb("signal", "send a signal to programs",
                               [&] { return signal(given.common, given.signal, given.names); });
        sends->add_option("SIGNAL", given.signal, "name with or without SIG, or number")
            ->required()
            ->check(CLI::Validator(check_signal, ""));
        names(sends, true);
    }

    void add_keepd() {
        Arguments& given = arguments_;
        CLI::App* reloads = verb("reload", "read the config anew and apply what changed, whole or not at all",
                                 [&] { return reload(given.common, given.dry_run, given.waiting()); });
        reloads->add_flag("--dry-run", given.dry_run, "only tell what it would do, with a reason for each field");
        waits(reloads);
        CLI::App* upgrades = verb("upgrade", "replace the running keepd; no program is touched", [&] {
            // keepd has another working directory.
            if (!given.upgrade.binary.empty()) {
                given.upgrade.binary = std::filesystem::absolute(given.upgrade.binary).string();
            }
            return upgrade(given.common, given.upgrade, given.waiting());
        });
        upgrades->add_option("PATH", given.upgrade.binary, "the new binary (default: the configured one)");
        CLI::Option* rehearse = upgrades->add_flag("--rehearse-only", given.upgrade.rehearse_only,
                                                   "try it on the real state, change nothing");
        CLI::Option* force = upgrades->add_flag("--force", given.upgrade.force, "also the same build");
        upgrades
            ->add_flag("--if-changed", given.upgrade.if_changed,
                       "only if it is another file than the running one, and has not been refused before")
            ->excludes(rehearse)
            ->excludes(force);
        waits(upgrades);
        verb("reopen-logs", "open all log files anew by their paths", [&] { return reopen_logs(given.common); });
        waits(verb("shutdown", "stop every program, then keepd",
                   [&] { return shutdown(given.common, given.waiting()); }));
    }

    CLI::App app_;
    Arguments arguments_;
    Run run_;
};

} // namespace
} // namespace keepd::ctl

int main(int argc, char** argv) {
    return keepd::ctl::CommandLine().run(argc, argv);
}
