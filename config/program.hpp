// From the fields of a program to the programs that run: one for each instance, its texts expanded, its user and its
// executable looked up, and the fields checked against each other.
#pragma once

#include <string>
#include <vector>

#include "config/program_fields.hpp"

namespace keepd::config {

// A program, and where its faults are shown.
struct Finished {
    Program program;
    Value out_at; // the place that names the file of stdout; the program's key where the default path is used
    Value err_at;
};

// `at` is the member of `programs` that holds it. Reports what is wrong; the result is then of no use but as a whole.
std::vector<Finished> finish_program(Reader&, ProgramDraft, const Value& at, const std::string& log_dir);

// {name} and {instance} in `text` replaced; ${name} is the shell's and stays.
std::string expand(std::string_view text, std::string_view name, std::string_view instance);

} // namespace keepd::config
