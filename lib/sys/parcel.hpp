// Messages with descriptors in them over a Unix socket pair, and such a pair as a place to keep descriptors in: whoever
// holds its ends has what lies in its queue, whatever becomes of the process that put it there. unix(7), SCM_RIGHTS.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <vector>

#include "lib/base/error.hpp"
#include "lib/sys/fd.hpp"

namespace keep::sys {

inline constexpr std::size_t most_descriptors = 253; // in one message; SCM_MAX_FD of the kernel

// The descriptors of one message that is sent, as sendmsg(2) wants them. Must live until it is sent.
class Enclosure {
  public:
    // Into `message`, which has none yet. `fds`: at most most_descriptors.
    void put(msghdr& message, std::span<const int> fds);

  private:
    alignas(cmsghdr) std::array<char, CMSG_SPACE(most_descriptors * sizeof(int))> bytes_{};
};

struct Parcel {
    std::string bytes;
    std::vector<Fd> fds;
};

// A queue of parcels: what is sent into `in` lies there until it is taken out of `out`. Message borders stay
// (SOCK_SEQPACKET), nothing blocks, both ends are close-on-exec.
struct ParcelQueue {
    Fd in;
    Fd out;
};
// `room`: bytes that the queue should hold; as much as the kernel gives (SO_SNDBUFFORCE, else wmem_max) is no error.
Result<ParcelQueue> parcel_queue(std::size_t room);

// EAGAIN: the queue is full. ETOOMANYREFS: too many descriptors in flight for this user (RLIMIT_NOFILE).
Result<> send_parcel(int in, std::string_view bytes, std::span<const int> fds);

// Copies of all that lies there, in order; the queue stays as it is (MSG_PEEK with SO_PEEK_OFF). Errors: EMFILE and
// ENFILE when descriptors run out: nothing is returned then.
Result<std::vector<Parcel>> peek_parcels(int out);

// Takes everything out and closes it.
Result<> empty_parcels(int out);

} // namespace keep::sys
