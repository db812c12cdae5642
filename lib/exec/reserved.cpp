#include "lib/exec/reserved.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <keep/exec/spawn.hpp>

namespace keep::exec {
namespace {

constexpr int most_stages = 8;
constexpr int useful_below = 256; // a number above is not worth reserving

enum class Use : std::uint8_t { absent, changing, free, taken };

// What holds a number while no start needs it: a memfd of our own, so that a number that somebody closed behind our
// back, and that has come to life as something else, is told from ours.
struct Placeholder {
    int fd = -1;
    dev_t device = 0;
    ino_t inode = 0;
};

struct Reserved {
    std::atomic<Use> use = Use::absent;
    std::array<int, Stage::places> numbers{-1, -1, -1, -1};
    Placeholder placeholder;
};
std::array<Reserved, most_stages> stages;
std::atomic<bool> tried = false; // by a start; reserve_descriptors() always tries

bool is_ours(int fd, const Placeholder& placeholder) {
    struct stat about{};
    return fd >= 0 && ::fstat(fd, &about) == 0 && about.st_dev == placeholder.device &&
           about.st_ino == placeholder.inode;
}

// Lets go of what is still ours.
void forget(Reserved& reserved) {
    for (int& number : reserved.numbers) {
        if (is_ours(number, reserved.placeholder)) ::close(number);
        number = -1;
    }
    if (is_ours(reserved.placeholder.fd, reserved.placeholder)) ::close(reserved.placeholder.fd);
    reserved.placeholder = {};
    reserved.use.store(Use::absent);
}

bool fill(Reserved& reserved) {
    Placeholder& placeholder = reserved.placeholder;
    placeholder.fd = ::memfd_create("keepexec-reserved", MFD_CLOEXEC);
    struct stat about{};
    if (placeholder.fd < 0 || ::fstat(placeholder.fd, &about) != 0) return false;
    placeholder.device = about.st_dev;
    placeholder.inode = about.st_ino;
    for (int& number : reserved.numbers) {
        number = ::fcntl(placeholder.fd, F_DUPFD_CLOEXEC, 3);
        if (number < 0 || number >= useful_below) return false;
    }
    return true;
}

bool is_whole(const Reserved& reserved, int limit = useful_below) {
    if (!is_ours(reserved.placeholder.fd, reserved.placeholder)) return false;
    return std::ranges::all_of(reserved.numbers,
                               [&](int number) { return number < limit && is_ours(number, reserved.placeholder); });
}

// Whether this stage is there now. One that somebody has closed behind our back is made anew.
bool reserve(Reserved& reserved) {
    Use expected = Use::free;
    if (reserved.use.compare_exchange_strong(expected, Use::changing)) {
        if (is_whole(reserved)) {
            reserved.use.store(Use::free);
            return true;
        }
        forget(reserved);
    } else if (expected != Use::absent) {
        return true; // a start holds it
    }
    expected = Use::absent;
    if (!reserved.use.compare_exchange_strong(expected, Use::changing)) return true;
    if (fill(reserved)) {
        reserved.use.store(Use::free);
        return true;
    }
    forget(reserved);
    return false;
}

} // namespace

bool Stage::take(int limit) {
    if (!tried.exchange(true)) reserve(stages[0]);
    for (int i = 0; i < most_stages; ++i) {
        Reserved& reserved = stages[static_cast<std::size_t>(i)];
        Use expected = Use::free;
        if (!reserved.use.compare_exchange_strong(expected, Use::taken)) continue;
        if (is_whole(reserved, limit)) {
            index_ = i;
            return true;
        }
        // Closed behind our back, or not low enough for this start.
        if (is_ours(reserved.numbers[0], reserved.placeholder) && reserved.numbers[0] >= limit) {
            reserved.use.store(Use::free);
        } else {
            forget(reserved);
        }
    }
    return false;
}

int Stage::put(int fd) {
    if (index_ < 0 || used_ == places) return -1;
    const int number = stages[static_cast<std::size_t>(index_)].numbers[static_cast<std::size_t>(used_)];
    if (::dup3(fd, number, O_CLOEXEC) < 0) return -1;
    ++used_;
    return number;
}

Stage::~Stage() {
    if (index_ < 0) return;
    Reserved& reserved = stages[static_cast<std::size_t>(index_)];
    for (int i = 0; i < used_; ++i) {
        int& number = reserved.numbers[static_cast<std::size_t>(i)];
        if (::dup3(reserved.placeholder.fd, number, O_CLOEXEC) < 0) {
            ::close(number); // what was handed over must not stay open here
            number = -1;
        }
    }
    reserved.use.store(Use::free);
}

int reserve_descriptors(int count) {
    tried.store(true);
    int ready = 0;
    for (int i = 0; i < most_stages; ++i) {
        Reserved& reserved = stages[static_cast<std::size_t>(i)];
        const bool wanted = i < std::max(count, 1) || reserved.use.load() != Use::absent;
        if (wanted && reserve(reserved)) ++ready;
    }
    return ready;
}

} // namespace keep::exec
