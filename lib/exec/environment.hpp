// The environment of a command, by Go's rules: of equal keys the last one counts, PWD follows the directory.
#pragma once

#include <string>
#include <vector>

#include <keep/exec/cmd.hpp>

namespace keep::exec {

class Environment {
  public:
    // Refers to the strings of `config` and of this process's environment, which must stay as they are.
    // Errors: what kept the directory from being made absolute.
    Result<> build(const CmdConfig& config);

    // Null-terminated; null where this process's own environment serves as it is.
    char* const* pointers() const { return own_ ? list_.data() : nullptr; }
    bool has_nul() const { return has_nul_; }
    std::vector<std::string> copy() const;

  private:
    void keep_last_of_each();

    std::vector<char*> list_; // null at its end
    std::string pwd_;
    bool own_ = false;
    bool has_nul_ = false;
};

} // namespace keep::exec
