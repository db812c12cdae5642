#include "daemon/upgrade/vault.hpp"

#include <utility>

#include "daemon/checkpoint/codec.hpp"
#include "daemon/checkpoint/manifest_core.hpp"
#include "daemon/logs/manifest.hpp"
#include "daemon/upgrade/vault_manifest.hpp"

namespace keepd::upgrade {

namespace {

// For tens of thousands of parcels; memory is taken for those alone that lie there.
constexpr std::size_t room = std::size_t{128} << 20;
constexpr std::size_t bytes_in_one = 32 * 1024;

} // namespace

keep::Result<Vaults> Vaults::create() {
    Vaults vaults;
    for (auto& queue : vaults.queues_) {
        auto made = keep::sys::parcel_queue(room);
        if (!made) return keep::fail_in("vault", made.error());
        queue = std::move(*made);
    }
    return vaults;
}

Vaults Vaults::adopt(std::array<keep::sys::Fd, 4> ends, int active) {
    Vaults vaults;
    vaults.queues_[0] = {std::move(ends[0]), std::move(ends[1])};
    vaults.queues_[1] = {std::move(ends[2]), std::move(ends[3])};
    vaults.active_ = active == 1 ? 1 : 0;
    return vaults;
}

std::array<int, 4> Vaults::descriptors() const {
    return {queues_[0].in.get(), queues_[0].out.get(), queues_[1].in.get(), queues_[1].out.get()};
}

keep::Result<> Vaults::park(const Item& item) {
    Slips slips{{item.slip}};
    slips.slips[0].descriptors = static_cast<std::uint32_t>(item.fds.size());
    return keep::sys::send_parcel(queues_[active_].in.get(), checkpoint::save(slips), item.fds);
}

keep::Result<> Vaults::fill_other(std::span<const Item> living) {
    const auto& other = queues_[1 - active_];
    if (auto emptied = keep::sys::empty_parcels(other.out.get()); !emptied) return emptied;
    Slips slips;
    std::vector<int> fds;
    std::size_t bytes = 0;
    const auto send = [&]() -> keep::Result<> {
        if (slips.slips.empty()) return {};
        auto sent = keep::sys::send_parcel(other.in.get(), checkpoint::save(slips), fds);
        slips.slips.clear();
        fds.clear();
        bytes = 0;
        return sent;
    };
    for (const Item& item : living) {
        // Near enough: what a slip holds besides its texts is short.
        const std::size_t size = 96 + item.slip.name.size() + item.slip.target.path.size();
        if (fds.size() + item.fds.size() > keep::sys::most_descriptors || bytes + size > bytes_in_one)
            if (auto sent = send(); !sent) return sent;
        slips.slips.push_back(item.slip);
        slips.slips.back().descriptors = static_cast<std::uint32_t>(item.fds.size());
        fds.insert(fds.end(), item.fds.begin(), item.fds.end());
        bytes += size;
    }
    return send();
}

void Vaults::switch_over() {
    active_ = 1 - active_;
    (void)keep::sys::empty_parcels(queues_[1 - active_].out.get()); // else before it is filled again
}

keep::Result<std::vector<Found>> Vaults::look() const {
    auto parcels = keep::sys::peek_parcels(queues_[active_].out.get());
    if (!parcels) return std::unexpected(parcels.error());
    std::vector<Found> all;
    for (auto& parcel : *parcels) {
        auto slips = checkpoint::restore<Slips>(parcel.bytes);
        if (!slips) continue;
        std::size_t next = 0;
        for (auto& slip : slips->slips) {
            if (slip.descriptors > parcel.fds.size() - next) break;
            Found& found = all.emplace_back(Found{std::move(slip), {}});
            for (std::uint32_t i = 0; i < found.slip.descriptors; ++i)
                found.fds.push_back(std::move(parcel.fds[next++]));
        }
    }
    return all;
}

} // namespace keepd::upgrade
