// The vaults: where descriptors lie that must outlive keepd. The service manager's store is made for a handful; so it
// holds two queues (lib/sys/parcel.hpp), and in one of them lies a copy of each run's pidfd, of each stream's pipe and
// of the control socket: one message for each, sent when it comes into being, none to the manager.
//
// What is not needed any more goes by compaction: the other vault is filled with what lives, then the checkpoint says
// that this one counts, then the first is emptied. No instant of a crash loses one.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "daemon/core/state.hpp"
#include "daemon/logs/pump.hpp"
#include "lib/base/error.hpp"
#include "lib/sys/parcel.hpp"

namespace keepd::upgrade {

// What a parcel says of its descriptors.
struct Slip {
    enum class Kind : std::uint8_t {
        run,     // pidfd of a run's main process
        stream,  // read and write end of a stream's pipe; the read end alone of one that is being drained
        listener // the control socket
    };
    Kind kind = Kind::run;
    std::string name; // program, stream id, or the socket's path
    core::RunId run{};
    int pid = 0;
    logs::Target target{};
    std::uint32_t descriptors = 0;
    bool operator==(const Slip&) const = default;
};

// One to be parked; the descriptors are borrowed.
struct Item {
    Slip slip;
    std::vector<int> fds;
};
// One that was found.
struct Found {
    Slip slip;
    std::vector<keep::sys::Fd> fds;
};

class Vaults {
  public:
    static keep::Result<Vaults> create();
    // Of an earlier image or life, in the order of descriptors().
    static Vaults adopt(std::array<keep::sys::Fd, 4> ends, int active);

    // Both ends of both vaults, borrowed.
    std::array<int, 4> descriptors() const;
    int active() const { return active_; } // 0 or 1

    // Into the one that counts. EAGAIN: it is full; compact.
    keep::Result<> park(const Item& item);
    // Copies of what lies in the one that counts, which stays as it is. What can't be read is left out.
    keep::Result<std::vector<Found>> look() const;

    // A compaction: fill_other(); then, once the checkpoint says that the other one counts, switch_over().
    keep::Result<> fill_other(std::span<const Item> living);
    void switch_over();

  private:
    std::array<keep::sys::ParcelQueue, 2> queues_;
    int active_ = 0;
};

} // namespace keepd::upgrade
