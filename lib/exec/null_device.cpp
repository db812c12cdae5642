#include "lib/exec/null_device.hpp"

#include <array>
#include <atomic>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "lib/sys/fd.hpp"

namespace keep::exec {
namespace {

constexpr int high_number = 32; // out of the way of numbers that programs are given; below 64, where a table is small
std::array<std::atomic<int>, 2> cached{-1, -1};

// A descriptor that was closed may have come to life again as something else: never hand that to a child.
bool is_null_device(int fd, int mode) {
    struct stat about{};
    const bool is_null =
        fd >= 0 && ::fstat(fd, &about) == 0 && S_ISCHR(about.st_mode) && about.st_rdev == ::makedev(1, 3);
    if (!is_null) return false;
    const int flags = ::fcntl(fd, F_GETFL);
    return flags < 0 || (flags & O_ACCMODE) == mode; // an open descriptor always has flags
}

} // namespace

keep::Result<int> null_device_fd(NullUse use) {
    const int mode = use == NullUse::read ? O_RDONLY : O_WRONLY;
    std::atomic<int>& here = cached[static_cast<std::size_t>(use)];
    int known = here.load();
    if (is_null_device(known, mode)) return known;
    auto opened = sys::open("/dev/null", mode);
    if (!opened) return std::unexpected(opened.error());
    if (auto high = sys::duplicate(opened->get(), high_number)) opened = std::move(high); // a low limit: stay low
    // The one that lost the race closes its own and takes the other's.
    if (!here.compare_exchange_strong(known, opened->get())) return known;
    return opened->release();
}

} // namespace keep::exec
