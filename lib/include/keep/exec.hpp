// libkeepexec: starting, awaiting and becoming other programs on Linux; the semantics of Go's os/exec and syscall.Exec.
// keepexec(3) is the manual; each header below can be included alone.
#pragma once

#include <keep/exec/cmd.hpp>
#include <keep/exec/look_path.hpp>
#include <keep/exec/replace.hpp>
#include <keep/exec/spawn.hpp>
