// The service manager's descriptor store: what is put there outlives this process, and comes back to the next one of
// this unit. sd_notify(3) FDSTORE=1, sd_listen_fds(3), FileDescriptorStoreMax= in systemd.service(5).
//
// It is made for a handful: each entry costs PID 1 time and every child of it a few bytes of environment.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "lib/base/error.hpp"
#include "lib/sys/fd.hpp"

namespace keepd::systemd {

struct Stored {
    std::string name;
    keep::sys::Fd fd;
};

// What the manager gave to this process (LISTEN_FDS), once: the variables are taken out of the environment.
// Close-on-exec.
std::vector<Stored> take_stored();

// Whether a store is there: yes, if the manager says so (FDSTORE, systemd 254); it may be, if it only takes
// notifications.
enum class Store { yes, perhaps, no };
Store store();

// Adds the descriptors under one name, watched for nothing (FDPOLL=0): a pipe that nobody writes to stays. They are in
// the manager's hands when this returns, even if this process is killed now. Error: the manager did not take the
// message within a second.
keep::Result<> store_descriptors(const std::string& name, std::span<const int> fds);
// Takes all of that name out.
void forget_stored(const std::string& name);
// Returns when the manager has taken in what it was told before; after a second in any case. sd_notify_barrier(3)
void await_manager();

} // namespace keepd::systemd
