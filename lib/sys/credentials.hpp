// Who somebody is: users and groups by name or number, and the process at the other end of a socket.
#pragma once

#include <string>
#include <sys/types.h>
#include <vector>

#include "lib/base/error.hpp"

namespace keep::sys {

struct User {
    uid_t uid = 0;
    gid_t gid = 0; // primary group
    std::string name;
    std::string home;
    std::string shell;
    std::vector<gid_t> groups; // all of getgrouplist(3), the primary one included
};

// By name; else, where `name` is a number, by that number. A number without an entry in the user database (usual in
// containers) is a user all the same: name = the number, gid = the same number, home "/", shell "/bin/sh", no groups.
// Asks the name service, which may block on the network. ENOENT: no such user.
Result<User> lookup_user(const std::string& name);

// The same for a group. ENOENT: no such group.
Result<gid_t> lookup_group(const std::string& name);

// Supplementary groups of `user_name` when its primary group is `primary`; getgrouplist(3).
std::vector<gid_t> groups_of(const std::string& user_name, gid_t primary);

// The name of a uid; the number if it has none.
std::string user_name(uid_t uid);

struct PeerCredentials {
    pid_t pid = 0; // 0: in a PID namespace that we cannot see
    uid_t uid = 0;
    gid_t gid = 0;
};

// Who connected (or listened) at the other end of a unix socket, as it was then; SO_PEERCRED, unix(7).
Result<PeerCredentials> peer_credentials(int socket);

} // namespace keep::sys
