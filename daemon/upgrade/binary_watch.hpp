// Notices when another file comes to lie at the binary's path: renamed over it, written in place, or put there by any
// symlink of the way. Between two such things it sleeps. inotify(7); it does not see what another machine does to a
// network file system.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "daemon/core/state.hpp"
#include "lib/base/error.hpp"
#include "systemd/loop.hpp"

namespace keepd::upgrade {

class BinaryWatch {
  public:
    // Called from the loop when another file than before has come to rest at the path; the receiver may destroy the
    // watch. It is known from then on.
    using Changed = std::function<void(const core::FileIdentity&)>;
    // A part of the way can't be watched; the rest is.
    using Problem = std::function<void(const std::string&)>;

    // `path` is absolute. What lies there already counts as changed if it is not what is `known`. Errors: inotify or
    // the loop has no room.
    static keep::Result<std::unique_ptr<BinaryWatch>> begin(systemd::Loop& loop, const std::string& path,
                                                            const std::optional<core::FileIdentity>& known,
                                                            Changed changed, Problem problem);
    virtual ~BinaryWatch();

  protected:
    BinaryWatch() = default;
};

} // namespace keepd::upgrade
