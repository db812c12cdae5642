// The soft limit of descriptors that the library has raised, for those who get the former one back.
#pragma once

#include <optional>
#include <sys/resource.h>

namespace keep::exec {

// The limit before raise_nofile_limit(), if the one that it set still stands: who set another one since means it.
std::optional<rlimit> original_nofile();

// While it lives the process has its original limit (on success of an exec: for ever).
class OriginalNofile {
  public:
    OriginalNofile();
    ~OriginalNofile();
    OriginalNofile(const OriginalNofile&) = delete;
    OriginalNofile& operator=(const OriginalNofile&) = delete;

  private:
    std::optional<rlimit> raised_;
};

} // namespace keep::exec
