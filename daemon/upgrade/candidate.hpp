// Step 1 of an upgrade: is the file at a path something that keepd may become? Nothing of it is executed here.
#pragma once

#include <string>

#include "daemon/upgrade/elf_image.hpp"
#include "lib/sys/fd.hpp"

namespace keepd::upgrade {

// A file that passed. The descriptor is the one that is rehearsed and executed: the path is never opened twice.
struct Candidate {
    std::string path;
    keep::sys::Fd fd;
    ElfImage image;
};

// Opens and examines. Errors are complete: "/usr/sbin/keepd: it is empty". Refused are: what can't be opened, is no
// regular file, is not executable, is writable by others than its owner or owned by someone else than root or us (when
// we are root), is set-id or carries file capabilities (the kernel would strip the environment), and what
// examine_elf() refuses.
keep::Result<Candidate> examine(const std::string& path);

// The path to upgrade from when the config names none: how keepd was started, made absolute with symlinks left alone,
// if that still was the running file. "" if it can't be told. To be asked at the first start only.
std::string path_started_by(const std::string& argv0);

} // namespace keepd::upgrade
