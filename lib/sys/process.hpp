// This process's own attributes.
#pragma once

#include <string>
#include <sys/resource.h>

#include "lib/base/error.hpp"

namespace keep::sys {

// Orphans below us become our children (PR_SET_CHILD_SUBREAPER). Survives execve(2), is not inherited by children.
Result<> set_child_subreaper(bool on);
Result<bool> is_child_subreaper();

// The calling thread's name, as ps -L shows it; cut at 15 bytes. PR_SET_NAME.
Result<> set_process_name(const std::string& name);

// RLIMIT_*; getrlimit(2).
Result<rlimit> get_limit(int resource);
Result<> set_limit(int resource, const rlimit& value);

Result<int> nice_value();       // -20..19
Result<int> oom_score_adjust(); // -1000..1000, /proc/self/oom_score_adj

// The target of a symbolic link, of any length.
Result<std::string> read_link(const std::string& path);

// The file that this process runs: resolved, and with " (deleted)" behind it once the file was replaced. It tells what
// runs; it is not the path to start again (that one is configured).
Result<std::string> executable_path();

} // namespace keep::sys
