// What of a stream is saved, for the checkpoint's codec (daemon/checkpoint/codec.hpp): every member, by name.
#pragma once

#include "daemon/logs/pump.hpp"

namespace keepd::logs {

template <class V>
constexpr void fields(Target& self, V& visit) {
    visit("path", self.path);
    visit("max_size", self.max_size);
    visit("max_files", self.max_files);
}

template <class V>
constexpr void fields(StreamState& self, V& visit) {
    visit("id", self.id);
    visit("target", self.target);
    visit("pipe_read", self.pipe_read);
    visit("pipe_write", self.pipe_write);
    visit("file", self.file);
    visit("offset", self.offset);
    visit("at_line_start", self.at_line_start);
    visit("line_length", self.line_length);
    visit("bytes", self.bytes);
    visit("dropped_bytes", self.dropped_bytes);
}

} // namespace keepd::logs
