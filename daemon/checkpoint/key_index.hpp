// Where the newest record of each key stands: an open-addressing table of 8-byte entries that holds no keys. The keys
// stand in the records already, so a living one costs 11 to 22 bytes here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace keepd::checkpoint {

class KeyIndex {
  public:
    using Slot = std::size_t;
    static constexpr Slot none = static_cast<Slot>(-1);

    // The entry of a key. `is_it(offset)`: whether the record there has that key.
    template <class IsIt>
    Slot find(std::uint64_t hash, IsIt&& is_it) const {
        if (slots_.empty()) return none;
        for (Slot at = home(hash);; at = next(at)) {
            if (slots_[at] == 0) return none;
            if (slots_[at] >> 32 == fragment(hash) && is_it(offset(at))) return at;
        }
    }
    std::size_t offset(Slot slot) const { return (slots_[slot] & 0xFFFFFFFF) * 8; }
    void move(Slot slot, std::size_t offset) {
        slots_[slot] = (slots_[slot] & ~std::uint64_t{0xFFFFFFFF}) | offset / 8;
    }

    // `offset`: a multiple of 8, above 0, below 32 GiB; the key must not be there yet.
    void insert(std::uint64_t hash, std::size_t offset) {
        if ((size_ + 1) * 4 > slots_.size() * 3) grow();
        place(fragment(hash) << 32 | offset / 8);
        ++size_;
    }
    void erase(Slot hole) {
        // Entries behind the hole that probing would no longer reach move up.
        for (Slot at = next(hole); slots_[at] != 0; at = next(at)) {
            const Slot wanted = home_of(slots_[at]);
            if (((at - wanted) & mask()) < ((at - hole) & mask())) continue;
            slots_[hole] = slots_[at];
            hole = at;
        }
        slots_[hole] = 0;
        --size_;
    }
    std::size_t size() const { return size_; }
    std::size_t memory() const { return slots_.capacity() * sizeof(std::uint64_t); } // bytes

  private:
    // The low half of the hash is kept with the offset: enough to place an entry again when the table grows.
    static std::uint64_t fragment(std::uint64_t hash) { return hash & 0xFFFFFFFF; }
    Slot home_of(std::uint64_t entry) const { return (entry >> 32) & mask(); }
    Slot home(std::uint64_t hash) const { return fragment(hash) & mask(); }
    Slot next(Slot at) const { return (at + 1) & mask(); }
    std::size_t mask() const { return slots_.size() - 1; }
    void place(std::uint64_t entry) {
        Slot at = home_of(entry);
        while (slots_[at] != 0)
            at = next(at);
        slots_[at] = entry;
    }
    void grow() {
        std::vector<std::uint64_t> former(slots_.empty() ? 16 : slots_.size() * 2);
        former.swap(slots_);
        for (const std::uint64_t entry : former)
            if (entry != 0) place(entry);
    }

    std::vector<std::uint64_t> slots_; // hash fragment, offset / 8; 0: free
    std::size_t size_ = 0;
};

} // namespace keepd::checkpoint
