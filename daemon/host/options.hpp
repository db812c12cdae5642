// keepd's command line.
#pragma once

#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "config/plan.hpp"

namespace keepd::host {

struct Options {
    std::string config; // "": the default place
    bool check = false;
    bool version = false;
    std::string log_level; // "": as the config says
    std::string log_target;
    std::string runtime_dir;                // "": as the config says
    int resume_fd = -1;                     // --resume=FD, first argument of an image that keepd executed itself into
    std::optional<std::string> rolled_back; // --rolled-back=REASON behind it: the image after us failed, we are back
    bool sweep = false;            // --sweep, first argument, of ExecStopPost=: kill what a cut-short end has left
    int rehearse_fd = -1;          // --rehearse=FD, first argument of a candidate in rehearsal
    std::vector<std::string> argv; // as given, without the internal first arguments: what the next image gets
};

// What to print and the exit code to end with: --help, or a usage error (exit code 2).
struct EndNow {
    int code = 0;
    std::string text;
};

std::expected<Options, EndNow> parse_options(const std::vector<std::string>& argv);

// What the command line says wins over the config, at the start and at each reload.
void apply_overrides(config::Plan& plan, const Options& options);

} // namespace keepd::host
