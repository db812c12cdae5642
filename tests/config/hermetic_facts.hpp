// A host that exists in memory: config's tests depend on no user, file or program of the machine they run on.
#pragma once

#include <map>
#include <string>

#include "config/load.hpp"

namespace keepd::config::testing {

using Files = std::map<std::string, std::string>; // absolute path → text

// A root's host. Users: alice (1000), www-data (33) and root; groups: the same, and adm (4). Every directory exists
// that does not begin with /missing. Commands: bare names that begin with "no-" do not exist; every other one is in
// /usr/bin; paths below /missing do not exist, /etc/passwd is not executable. Files are what is given.
Facts hermetic_facts(Files);

// One document as /etc/keepd/keepd.json.
std::expected<Plan, std::vector<Fault>> load_text(const std::string& text);
// That, and further files.
std::expected<Plan, std::vector<Fault>> load_files(Files);

// Faults as keepd prints them, without the directory of the main file; one in a line.
std::string listed(const std::vector<Fault>&);

} // namespace keepd::config::testing
