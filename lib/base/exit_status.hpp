// How a process ended: the value that wait(2) reports, without its encodings.
#pragma once

#include <cstdint>
#include <string>

#include "lib/base/time.hpp"

namespace keep {

struct ExitStatus {
    enum class Kind : std::uint8_t { exited, signaled, unknown };

    Kind kind = Kind::unknown;
    int value = 0;     // exit code (0..255) for exited, signal number for signaled
    bool core = false; // a core was dumped (signaled only)

    bool operator==(const ExitStatus&) const = default;

    static constexpr ExitStatus exited(int code) { return {Kind::exited, code, false}; }
    static constexpr ExitStatus signaled(int signal, bool core = false) { return {Kind::signaled, signal, core}; }

    bool success() const { return kind == Kind::exited && value == 0; }
};

// "exit 1", "SIGKILL", "SIGSEGV (core dumped)", "unknown".
std::string to_text(const ExitStatus&);

// What the process and its reaped children used; getrusage(2).
struct ResourceUsage {
    Duration user{};
    Duration system{};
    std::int64_t max_rss_kib = 0;
    bool operator==(const ResourceUsage&) const = default;
};

} // namespace keep
