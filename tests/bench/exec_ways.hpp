// The exec library's ways to start a program and to wait for it, each as its user would write it: the description is
// made anew each time, as the peers' is.
#pragma once

#include <array>
#include <cstddef>
#include <string>

#include <keep/exec.hpp>

namespace keep::bench {

constexpr std::array<int, 3> nothing{exec::null_device, exec::null_device, exec::null_device};

// Layer 1.
void spawn_and_wait(const std::string& program, std::array<int, 3> stdio);

// Layer 2. `pipes`: an empty text as the standard input, the output and the errors into memory.
enum class Streams { inherited, null_device, pipes };
void command_run(const std::string& program, Streams streams);
void command_start_and_wait(const std::string& program, Streams streams);

// Exits with the error's text.
[[noreturn]] void give_up(const exec::Error& error);
template <typename T>
void must(const exec::Result<T>& result) {
    if (!result) give_up(result.error());
}

} // namespace keep::bench
