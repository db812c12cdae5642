// keepd's own log: one line per decision. To the journal with structured fields when systemd runs us, else to stderr or
// a file. spdlog carries it; no other file includes spdlog.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/plan.hpp"
#include "daemon/core/action.hpp"

namespace keepd::host {

class Log {
  public:
    // Until configure(): stderr, or the journal when stderr is its stream; level info.
    Log();
    ~Log();
    Log(const Log&) = delete;
    Log& operator=(const Log&) = delete;

    // Takes the settings of the config; a target that can't be opened is reported to the former one, which stays.
    void configure(const config::Log& settings);
    // Given on the command line; they win over the config for good.
    void override_level(std::string_view level);
    void override_target(std::string_view target);
    void reopen(); // a file target: by its path, anew
    void flush();
    // What it has opened by now, for who closes strangers.
    std::vector<int> descriptors() const;

    void debug(std::string_view text);
    void info(std::string_view text);
    void warning(std::string_view text);
    void error(std::string_view text);
    // With program, run, state and exit as fields of their own in the journal.
    void notice(const core::Notice& notice);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace keepd::host
