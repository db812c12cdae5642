// The table of a program's fields: its keys, how each is read, and which key was probably meant.
//
// What one value alone can tell is checked here; what needs two of them, or the host, waits in the draft for
// program.cpp, so that `defaults` can be read by the same table without a program.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/object.hpp"
#include "config/plan.hpp"

namespace keepd::config {

struct OutputDraft {
    Output output;
    Value path_at; // of a file; empty: the default path
};

struct ProgramDraft {
    Program program; // texts as written: {name} and {instance} are expanded per instance
    int instances = 1;
    std::string user; // name or number; empty: not given
    std::string group;
    OutputDraft out;
    OutputDraft err;

    // Places of values whose meaning hangs on others. Empty: not given.
    Value command_at, working_dir_at, user_at, group_at;
    Slot type_at, policy_at;
};

// Reads an object of program fields, merged over that of `defaults`.
void read_program_fields(Reader&, const Slot&, ProgramDraft&);

// A command with a slash that is not absolute: which directory was meant, nobody could say.
bool is_relative_path(std::string_view command);

} // namespace keepd::config
