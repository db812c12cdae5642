// The test program impersonates its own victims: started as `test-exec --helper=ROLE ...` it tells what it finds itself
// with, or does what a child may do. Also the ways in which the tests start it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/exit_status.hpp"
#include "lib/exec/rung.hpp"

namespace keep::test {

// Plays the role that the arguments name. Nothing if they name none: then the tests are to run.
std::optional<int> play_victim(int argc, char** argv);

// A spec that starts this program in a role. Its environment is empty.
exec::SpawnSpec victim(const std::string& role, const std::vector<std::string>& arguments = {});

// What a victim printed, "key value" line by line; its descriptors as "fd N".
using Report = std::map<std::string, std::string>;

struct Outcome {
    std::string output;
    ExitStatus status;
    Report report() const;
};

// Starts it with its standard output on a pipe, reads that to the end and waits. Fails the test if it does not start.
Outcome run(exec::SpawnSpec spec, exec::Rung rung = exec::Rung::automatic);

ExitStatus exit_of(const exec::ProcessState& state);

// The descriptors that a report names, in order: "0 1 2 5".
std::string descriptors(const Report& report);

struct NamedRung {
    exec::Rung rung;
    std::string name;
};
inline const std::vector<NamedRung> every_rung{{exec::Rung::automatic, "automatic"},
                                               {exec::Rung::shared, "shared"},
                                               {exec::Rung::shared_classic, "shared_classic"},
                                               {exec::Rung::private_, "private"},
                                               {exec::Rung::private_classic, "private_classic"},
                                               {exec::Rung::handshake, "handshake"},
                                               {exec::Rung::handshake_classic, "handshake_classic"},
                                               {exec::Rung::plain, "plain"}};

bool is_root(); // says so where a test is skipped for want of it

} // namespace keep::test
