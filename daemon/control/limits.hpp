// What one client, and all of them together, can cost keepd. A test brings smaller ones.
#pragma once

#include <cstddef>

namespace keepd::control {

// An upgrade carries what clients have half said and not yet read, in one record of at most 64 MiB; all of it together
// must stay well below that, and takes keepd away for as long as it takes to copy: requests of all clients 16 MiB.
struct Limits {
    std::size_t request = std::size_t{64} << 10;       // bytes of one request; more: an error, and dropped
    std::size_t output = std::size_t{8} << 20;         // bytes of replies that one client has not taken; more: dropped
    std::size_t all_output = std::size_t{16} << 20;    // the same over all clients
    std::size_t unread_output = std::size_t{64} << 10; // with that much unread, no further request is served
    std::size_t requests_per_turn = 64;                // of one client, then the others and keepd's own work come first
    std::size_t clients = 256;
    std::size_t guests = 192; // of those, who may only look: they can't lock an operator out
    std::size_t notices = 512;
};

} // namespace keepd::control
