// A command from its first pipe to its wait(): what Cmd keeps behind its pointer.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include <keep/exec/cmd.hpp>

#include "lib/exec/exchange.hpp"

namespace keep::exec {

struct Cmd::Running {
    bool asked = false;   // start() was called, with whatever success
    bool started = false; // there is a process
    bool waited = false;
    Process process;
    Exchange exchange;
    std::optional<ProcessState> state;
    std::vector<std::shared_ptr<PipeEnd>> handles; // of the *_pipe() functions

    void close_handles() {
        for (const auto& handle : handles)
            handle->close();
    }
};

} // namespace keep::exec
