// The identity of a file as stat(2) tells it.
#pragma once

#include <optional>
#include <string>
#include <sys/stat.h>

#include "daemon/core/state.hpp"

namespace keepd::upgrade {

core::FileIdentity identity_of(const struct stat& info);

// Of what lies at the path, through symlinks. Nothing: it can't be told.
std::optional<core::FileIdentity> identify_file(const std::string& path);

// Of the file that is being executed, whatever its path is now.
std::optional<core::FileIdentity> identify_running();

} // namespace keepd::upgrade
