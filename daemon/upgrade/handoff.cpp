#include "daemon/upgrade/handoff.hpp"

#include <algorithm>
#include <cstdlib>
#include <dirent.h>
#include <unistd.h>

#include "lib/sys/fd.hpp"

namespace keepd::upgrade {

namespace {

std::vector<int> numbers(const Handoff& handoff) {
    std::vector<int> all;
    const auto add = [&](int fd) {
        if (fd >= 0) all.push_back(fd);
    };
    for (const auto& run : handoff.runs) {
        add(run.pidfd);
        add(run.stat);
        for (const auto& member : run.members)
            add(member.pidfd);
    }
    for (const auto& stream : handoff.streams) {
        add(stream.pipe_read);
        add(stream.pipe_write);
        add(stream.file);
    }
    add(handoff.control.listener);
    add(handoff.live);
    for (const int end : handoff.vaults)
        add(end);
    for (const auto& client : handoff.control.clients)
        add(client.fd);
    return all;
}

std::string link_of(int fd) {
    char target[256];
    const auto size = readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), target, sizeof target);
    return size > 0 ? std::string(target, static_cast<std::size_t>(size)) : "?";
}

std::vector<int> open_descriptors() {
    std::vector<int> open;
    DIR* directory = opendir("/proc/self/fd");
    if (directory == nullptr) return open;
    while (const dirent* entry = readdir(directory)) {
        if (entry->d_name[0] == '.') continue;
        const int fd = std::atoi(entry->d_name);
        if (fd != dirfd(directory)) open.push_back(fd);
    }
    closedir(directory);
    return open;
}

} // namespace

keep::Result<std::vector<CarriedFd>> identify_descriptors(const Handoff& handoff) {
    std::vector<CarriedFd> carried;
    for (const int fd : numbers(handoff)) {
        const auto identity = keep::sys::identify(fd);
        if (!identity) return keep::fail_in("descriptor " + std::to_string(fd), identity.error());
        carried.push_back({fd, identity->device, identity->inode, identity->type});
    }
    return carried;
}

keep::Result<> verify_descriptors(const Handoff& handoff) {
    const auto now = identify_descriptors(handoff);
    if (!now) return std::unexpected(now.error());
    std::vector<int> used = numbers(handoff);
    std::ranges::sort(used);
    if (const auto twice = std::ranges::adjacent_find(used); twice != used.end())
        return keep::fail("descriptor " + std::to_string(*twice) + " is handed over twice");
    if (*now == handoff.descriptors) return {};
    for (std::size_t i = 0; i < now->size(); ++i)
        if (i >= handoff.descriptors.size() || (*now)[i] != handoff.descriptors[i])
            return keep::fail("descriptor " + std::to_string((*now)[i].fd) + " is not what was handed over (" +
                              link_of((*now)[i].fd) + ")");
    return keep::fail("descriptors were handed over that nothing uses");
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
    std::vector<int> known = numbers(handoff);
    known.insert(known.end(), own.begin(), own.end());
    std::ranges::sort(known);
    std::vector<std::string> closed;
    for (const int fd : open_descriptors()) {
        if (fd <= 2 || std::ranges::binary_search(known, fd)) continue;
        closed.push_back(std::to_string(fd) + " (" + link_of(fd) + ")");
        close(fd);
    }
    return closed;
}

} // namespace keepd::upgrade
