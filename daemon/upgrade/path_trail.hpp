// The way from the root to a file, through every symlink, as the kernel would go it: path_resolution(7). Where another
// file may come to lie at the path, something in one of these directories changes first.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/core/state.hpp"

namespace keepd::upgrade {

struct Trail {
    struct Directory {
        std::string path; // without symlinks
        std::uint64_t device = 0;
        std::uint64_t inode = 0;
        // Entries that matter: symlinks of the way, its last entry, and where it breaks off what is missing. Other
        // directories need no eye on their entries: one on themselves tells when they go away.
        std::set<std::string> entries;
        bool operator==(const Directory&) const = default;
    };
    std::vector<Directory> directories; // in order, each once
    std::string end;                    // path of the file itself, without symlinks; "" if there is none
    std::optional<core::FileIdentity> file;

    // The same places need the same watches, whatever was written into the file.
    bool same_places(const Trail& other) const;
};

// Follows an absolute path. What is missing, a loop, or no regular file at the end: a trail without a file.
Trail follow(const std::string& path);

} // namespace keepd::upgrade
