// How stories write programs, keepd's settings, and events.
#pragma once

#include <string>
#include <vector>

#include "daemon/core/event.hpp"

namespace keepd::core::test {

std::vector<std::string> words_of(const std::string& line);

// "web restart.delay=1s type=oneshot": a program without jitter (stories name exact times).
config::Program parse_program(const std::string& line);
// "keepd shutdown_timeout=5s"
void parse_settings(const std::string& line, config::Daemon& settings);
bool is_settings(const std::string& line);

// "exited web#1 code=1"; every event but `plan`, which spans lines. Throws std::runtime_error.
Event parse_event(const std::string& line);

FileIdentity parse_file(const std::string& word); // "inode=7"
keep::Duration parse_span(const std::string& text);

} // namespace keepd::core::test
