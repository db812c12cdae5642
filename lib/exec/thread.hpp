// Threads of the library's own.
#pragma once

#include <functional>
#include <optional>
#include <thread>

#include <keep/exec/error.hpp>

namespace keep::exec {

// A thread with all signals blocked: those of the program are for its own threads. Held off while the process replaces
// itself. Errors: EAGAIN.
Result<std::thread> make_thread(std::function<void()> body);

// The same, on its own from the beginning. False if there is none to be had.
bool start_thread(std::function<void()> body);

} // namespace keep::exec
