// What keepctl's exit codes mean, and which one an error of the control interface becomes. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace keepd::ctl {

enum class ExitCode : int {
    done = 0,
    failed = 1, // the reason is on stderr
    wrong_usage = 2,
    no_such_program = 3,
    refused = 4, // permission, busy
    timed_out = 5,
    unreachable = 6,  // no daemon
    config_wrong = 78 // EX_CONFIG of sysexits.h
};

// A call that did not succeed.
struct CallError {
    ExitCode code = ExitCode::failed;
    std::string text;       // for people; may have several lines
    std::string error;      // the Varlink error's full name; empty where keepd did not answer
    std::string parameters; // of that error, as JSON text
};

// In words, with the code it stands for.
CallError from_varlink(std::string_view error, const nlohmann::json& parameters);

} // namespace keepd::ctl
