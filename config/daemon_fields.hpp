// The tables of keepd's own fields: the top level of the main file.
#pragma once

#include <span>
#include <string_view>

#include "config/object.hpp"
#include "config/plan.hpp"

namespace keepd::config {

struct MainDraft {
    Daemon daemon;
    Value include, defaults, programs; // read later, with other files in sight
    // Places of values whose meaning hangs on others. Empty: not given.
    Value log_target_at, runtime_dir_at, control_path_at;
};

// Reads the top level of the main file. Empty directories in `daemon` were not given.
void read_main_fields(Reader&, const Value& root, MainDraft&);

// The keys of the top level.
std::span<const std::string_view> main_keys();

// Fills in what the config left open, from the kind of user and from other fields, and checks what then stands there.
void finish_daemon(Reader&, const Value& root, MainDraft&);

} // namespace keepd::config
