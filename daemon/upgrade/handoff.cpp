#include "daemon/upgrade/handoff.hpp"

#include <algorithm>
#include <unistd.h>

#include "lib/sys/fd.hpp"

namespace keepd::upgrade {

namespace {

void add(std::vector<int>& all, int fd) {
    if (fd >= 0) all.push_back(fd);
}

// One, or a few for each client: each is looked at.
std::vector<int> few(const Handoff& handoff) {
    std::vector<int> all;
    add(all, handoff.control.listener);
    add(all, handoff.live);
    for (const int end : handoff.vaults)
        add(all, end);
    for (const auto& client : handoff.control.clients)
        add(all, client.fd);
#ifdef KEEPD_NEXT
    add(all, handoff.spare_fd);
#endif
    return all;
}

// Several for each program, thousands maybe. Above `most_looked_at` a look at each would be half of an upgrade's gap:
// the kernel carries the table as it is, and whether they are open is asked of all at once.
constexpr std::size_t most_looked_at = 512;
std::vector<int> many(const Handoff& handoff) {
    std::vector<int> all;
    for (const auto& run : handoff.runs) {
        add(all, run.pidfd);
        add(all, run.stat);
        for (const auto& member : run.members)
            add(all, member.pidfd);
    }
    for (const auto& stream : handoff.streams) {
        add(all, stream.pipe_read);
        add(all, stream.pipe_write);
        add(all, stream.file);
    }
    return all;
}

std::string link_of(int fd) {
    char target[256];
    const auto size = readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), target, sizeof target);
    return size > 0 ? std::string(target, static_cast<std::size_t>(size)) : "?";
}

} // namespace

std::vector<int> carried_numbers(const Handoff& handoff) {
    std::vector<int> all = few(handoff);
    const std::vector<int> others = many(handoff);
    all.insert(all.end(), others.begin(), others.end());
    return all;
}

keep::Result<std::vector<CarriedFd>> identify_descriptors(const Handoff& handoff) {
    std::vector<int> looked_at = carried_numbers(handoff);
    if (looked_at.size() > most_looked_at) looked_at = few(handoff);
    std::vector<CarriedFd> carried;
    for (const int fd : looked_at) {
        const auto identity = keep::sys::identify(fd);
        if (!identity) return keep::fail_in("descriptor " + std::to_string(fd), identity.error());
        carried.push_back({fd, identity->device, identity->inode, identity->type});
    }
    return carried;
}

keep::Result<> verify_descriptors(const Handoff& handoff) {
    std::vector<int> used = carried_numbers(handoff);
    std::ranges::sort(used);
    if (const auto twice = std::ranges::adjacent_find(used); twice != used.end())
        return keep::fail("descriptor " + std::to_string(*twice) + " is handed over twice");
    const auto open = keep::sys::are_open(used);
    if (!open) return std::unexpected(open.error());
    for (std::size_t i = 0; i < used.size(); ++i)
        if (!(*open)[i])
            return keep::fail("descriptor " + std::to_string(used[i]) + " was handed over, but it is not open");
    std::vector<int> looked_at;
    for (const auto& was : handoff.descriptors) {
        const auto now = keep::sys::identify(was.fd);
        if (!now) return keep::fail_in("descriptor " + std::to_string(was.fd), now.error());
        if (CarriedFd{was.fd, now->device, now->inode, now->type} != was)
            return keep::fail("descriptor " + std::to_string(was.fd) + " is not what was handed over (" +
                              link_of(was.fd) + ")");
        looked_at.push_back(was.fd);
    }
    std::ranges::sort(looked_at);
    for (const int fd : used.size() > most_looked_at ? few(handoff) : used)
        if (!std::ranges::binary_search(looked_at, fd))
            return keep::fail("descriptor " + std::to_string(fd) + " is used, but was not handed over");
    return {};
}

std::vector<CarriedFd> take_unclaimed(Handoff& handoff) {
    std::vector<int> used = carried_numbers(handoff);
    std::ranges::sort(used);
    const auto claimed = [&](const CarriedFd& carried) { return std::ranges::binary_search(used, carried.fd); };
    const auto first = std::ranges::stable_partition(handoff.descriptors, claimed);
    std::vector<CarriedFd> unclaimed(first.begin(), first.end());
    handoff.descriptors.erase(first.begin(), first.end());
    return unclaimed;
}

void forget_lost_clients(Handoff& handoff) {
    const auto lost = [&](int fd) {
        const auto carried = std::ranges::find(handoff.descriptors, fd, &CarriedFd::fd);
        if (carried == handoff.descriptors.end()) return true;
        const auto now = keep::sys::identify(fd);
        if (now && CarriedFd{fd, now->device, now->inode, now->type} == *carried) return false;
        handoff.descriptors.erase(carried);
        return true;
    };
    std::erase_if(handoff.control.clients, [&](const auto& client) { return lost(client.fd); });
    if (lost(handoff.control.listener)) handoff.control.listener = -1;
}

std::vector<std::string> close_strangers(const Handoff& handoff, const std::vector<int>& own) {
    constexpr int beyond = 256; // numbers are given out from below: there is nothing far behind the last
    std::vector<int> known = carried_numbers(handoff);
    known.insert(known.end(), own.begin(), own.end());
    std::ranges::sort(known);
    std::vector<int> others;
    const int end = (known.empty() ? 2 : known.back()) + beyond;
    int fd = 3;
    for (const int next : known) {
        for (; fd < next; ++fd)
            others.push_back(fd);
        fd = std::max(fd, next + 1);
    }
    for (; fd <= end; ++fd)
        others.push_back(fd);
    std::vector<std::string> closed;
    const auto open = keep::sys::are_open(others);
    for (std::size_t i = 0; open && i < others.size(); ++i) {
        if (!(*open)[i]) continue;
        closed.push_back(std::to_string(others[i]) + " (" + link_of(others[i]) + ")");
        close(others[i]);
    }
    return closed;
}

} // namespace keepd::upgrade
