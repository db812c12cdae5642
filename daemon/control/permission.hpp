// Who may do what. The kernel says who the peer is (SO_PEERCRED: taken at connect, can't be forged); nothing that a
// client sends does.
#pragma once

#include <cstdint>

namespace keepd::control {

struct Caller {
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    int pid = 0;
    bool operator==(const Caller&) const = default;
};

enum class Access : std::uint8_t {
    read,  // everyone who can connect
    change // root and keepd's own user
};

// own_uid: keepd's effective uid.
constexpr bool permitted(const Caller& caller, Access access, std::uint32_t own_uid) {
    return access == Access::read || caller.uid == 0 || caller.uid == own_uid;
}

} // namespace keepd::control
