#include "daemon/host/options.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <sstream>

#include "daemon/upgrade/guard.hpp"

namespace keepd::host {

namespace {

// The number behind an internal first argument; -1 if it is another argument.
int internal_fd(const std::string& argument, std::string_view prefix) {
    if (!argument.starts_with(prefix)) return -1;
    int fd = -1;
    const char* end = argument.data() + argument.size();
    const auto [stop, bad] = std::from_chars(argument.data() + prefix.size(), end, fd);
    return bad == std::errc{} && stop == end && fd > 2 ? fd : -1;
}

} // namespace

std::expected<Options, EndNow> parse_options(const std::vector<std::string>& argv) {
    Options options;
    options.argv = argv;
    if (argv.size() > 1) {
        options.resume_fd = internal_fd(argv[1], "--resume=");
        options.rehearse_fd = internal_fd(argv[1], "--rehearse=");
        options.sweep = argv[1] == "--sweep";
        if (options.sweep) options.argv.erase(options.argv.begin() + 1);
        if (options.resume_fd >= 0 || options.rehearse_fd >= 0) options.argv.erase(options.argv.begin() + 1);
        // Of the crash guard (daemon/upgrade/guard.hpp), which has read its own by now.
        if (options.resume_fd >= 0 && options.argv.size() > 1) {
            const std::string& second = options.argv[1];
            if (second.starts_with(upgrade::rolled_back_option))
                options.rolled_back = second.substr(upgrade::rolled_back_option.size());
            if (options.rolled_back || second.starts_with(upgrade::way_back_option))
                options.argv.erase(options.argv.begin() + 1);
        }
        if (options.rehearse_fd >= 0) return options;
    }

    CLI::App app{
        "keepd supervises the programs of a JSON config, in the foreground. It reloads the config on SIGHUP, and "
        "on SIGUSR2 (or keepctl upgrade) it replaces itself by its newer binary without touching a program."};
    app.add_option("--config", options.config, "config file (default /etc/keepd/keepd.json)")->type_name("FILE");
    app.add_flag("--check", options.check, "check the config, print its faults, and exit (78 if it is wrong)");
    app.add_flag("--version", options.version, "print the version and exit");
    app.add_option("--log-level", options.log_level, "debug, info, warning or error")
        ->check(CLI::IsMember({"debug", "info", "warning", "error"}))
        ->type_name("L");
    app.add_option("--log-target", options.log_target, "auto, journal, stderr or a path")->type_name("T");
    app.add_option("--runtime-dir", options.runtime_dir, "where the control socket lies (default /run/keepd)")
        ->type_name("DIR");
    std::vector<std::string> arguments(options.argv.begin() + (options.argv.empty() ? 0 : 1), options.argv.end());
    std::ranges::reverse(arguments); // CLI11 takes them last first
    try {
        app.parse(arguments);
    } catch (const CLI::ParseError& outcome) {
        std::ostringstream text;
        const int code = app.exit(outcome, text, text);
        return std::unexpected(EndNow{code == 0 ? 0 : 2, text.str()});
    }
    // keepd has no working directory that an operator could mean, least of all after an upgrade.
    for (const auto* path : {&options.log_target, &options.runtime_dir}) {
        const bool word = *path == "auto" || *path == "journal" || *path == "stderr";
        if (!path->empty() && !path->starts_with('/') && !(word && path == &options.log_target))
            return std::unexpected(EndNow{2, "'" + *path + "' is not an absolute path\n"});
    }
    return options;
}

void apply_overrides(config::Plan& plan, const Options& options) {
    auto& daemon = plan.daemon;
    if (options.runtime_dir.empty()) return;
    // The socket follows, unless the config puts it somewhere of its own.
    if (daemon.control.path == daemon.runtime_dir + "/control.sock")
        daemon.control.path = options.runtime_dir + "/control.sock";
    daemon.runtime_dir = options.runtime_dir;
}

} // namespace keepd::host
