// No two streams may write to one file: each would rotate it under the other. Nor may one write to a file that another
// one's rotation makes (PATH.1, PATH.2, ...): it would be renamed and removed under its writer.
#pragma once

#include <string>
#include <unordered_map>

#include "config/program.hpp"

namespace keepd::config {

class Streams {
  public:
    // keepd's own log file. `at` is the value that names it; without one there is no such file.
    void claim_own_log(const std::string& path, const Value& at);
    // Reports the streams of `finished` that go where another one goes.
    void claim(Faults&, const Finished&);
    // Once all are claimed: reports those that go where another one's rotated files go.
    void check_rotated(Faults&) const;

  private:
    struct Owner {
        std::string base; // of the program; "" for keepd
        std::string text; // "stdout of 'web'"
        Value at;
    };
    void claim_one(Faults&, const Finished&, const std::string& path, const char* stream, const Value& at);

    std::unordered_map<std::string, Owner> owners_; // by path
};

} // namespace keepd::config
