// Where things lie when the config does not say.
#pragma once

#include <string>

#include "config/load.hpp"

namespace keepd::config {

struct DefaultDirs {
    std::string log, state, runtime;
};

// As root: /var/log/keepd, /var/lib/keepd and /run/keepd; else below the XDG directories of the user.
DefaultDirs default_dirs(const Facts&);

// The control socket of a runtime directory.
std::string socket_in(const std::string& runtime_dir);

// What a path lies in: "." for a name alone.
std::string directory_of(const std::string& path);

} // namespace keepd::config
