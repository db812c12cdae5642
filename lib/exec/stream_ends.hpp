// What stands behind a Source and a Sink.
#pragma once

#include <memory>
#include <string>

#include <keep/exec/streams.hpp>
#include <keep/fd.hpp>

#include "lib/exec/head_tail.hpp"

namespace keep::exec {

// One of descriptor, text, bytes, head_tail and the callable is set.
struct Source::Shared {
    bool descriptor = false; // `owned` is, or was
    bool of_pipe = false;    // made by stdin_pipe(): closed whatever comes of the start
    Fd owned;                // handed over, then closed
    std::string text;
    ReadFunction read;
};

struct Sink::Shared {
    bool descriptor = false;
    bool of_pipe = false; // made by stdout_pipe() or stderr_pipe()
    Fd owned;
    std::string* text = nullptr;
    Bytes* bytes = nullptr;
    std::unique_ptr<HeadTail> head_tail;
    WriteFunction write;
};

} // namespace keep::exec
