#include "daemon/checkpoint/live.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <ranges>
#include <utility>
#include <vector>

#include "daemon/checkpoint/form.hpp"
#include "daemon/checkpoint/hash.hpp"
#include "daemon/checkpoint/key_index.hpp"
#include "lib/sys/memfd.hpp"

namespace keepd::checkpoint {
namespace {

using form::page_size;

// Space is allocated ahead by this much at least; so much may be stale before a compaction is worth its while.
constexpr std::size_t slack = std::size_t{64} << 10;
constexpr std::size_t chunk_size = std::size_t{64} << 10; // of a sealed copy's writing
constexpr std::size_t end_word = 8;                       // a half ends with a zero word

std::size_t whole_pages(std::size_t bytes) {
    return (bytes + page_size - 1) & ~(page_size - 1);
}

keep::Result<> check_sizes(std::string_view key, std::size_t bytes) {
    if (key.empty() || key.size() > form::longest_key) return keep::fail("the key is empty or too long", EINVAL);
    if (bytes > form::longest_record) return keep::fail("the record is above 64 MiB", EMSGSIZE);
    return {};
}

} // namespace

// The half in use: [start, tail) holds records, [tail, limit) is allocated and zero. Offsets are the file's.
struct Live::Impl {
    Header header;
    keep::sys::Fd fd;
    keep::sys::Mapping memory;
    KeyIndex index;
    std::size_t start = page_size, tail = page_size, limit = page_size;
    std::size_t living = 0; // bytes of records that count
    std::uint32_t compactions = 0;
    std::function<void(std::string_view)> observer;

    char* at(std::size_t offset) const { return reinterpret_cast<char*>(memory.data()) + offset; }
    std::size_t stale() const { return tail - start - living; }
    void step(std::string_view name) const {
        if (observer) observer(name);
    }

    KeyIndex::Slot find(std::string_view key, std::uint64_t hash) const {
        return index.find(hash, [&](std::size_t offset) { return form::known_record(at(offset)).key == key; });
    }

    // Makes [from, to) usable memory.
    keep::Result<> allocate(std::size_t from, std::size_t to) {
        if (auto done = keep::sys::allocate(fd.get(), from, to - from); !done) return done;
        return to > memory.size() ? memory.resize(fd.get(), to) : keep::Result<>{};
    }

    // Makes a range read as zero, giving its memory back.
    void clear(std::size_t from, std::size_t to) {
        to = std::min(to, memory.size());
        if (from < to && !keep::sys::punch_hole(fd.get(), from, to - from)) std::memset(at(from), 0, to - from);
    }

    // Room for `size` more bytes of records behind the tail.
    keep::Result<> make_room(std::size_t size) {
        // A failure here is none yet: there may be room without it.
        if (stale() > living / 4 + slack) (void)compact();
        if (tail + size + end_word <= limit) return {};
        auto grown = grow(size);
        if (grown || stale() == 0) return grown;
        if (!compact()) return grown;
        return tail + size + end_word <= limit ? keep::Result<>{} : grow(size);
    }

    keep::Result<> grow(std::size_t size) {
        const std::size_t least = whole_pages(tail + size + end_word);
        const std::size_t ample = whole_pages(std::max(least, limit + std::max(slack, (tail - start) / 8)));
        auto done = allocate(limit, ample);
        std::size_t reached = ample;
        if (!done && least < ample) {
            done = allocate(limit, least);
            reached = least;
        }
        if (done) limit = reached;
        return done;
    }

    // Writes what lives into the other half, and switches. Bounded by what lives and what is stale together. On
    // failure nothing has changed.
    keep::Result<> compact() {
        const std::size_t size = whole_pages(living + end_word);
        const bool below = page_size + size <= start;
        const std::size_t target = below ? page_size : whole_pages(tail + end_word);
        const std::size_t target_limit = below ? target + size : std::max(target + size, limit);
        step("begin");
        if (auto done = allocate(target, target + size); !done) return done;
        step("allocated");
        std::size_t to = target;
        for (std::size_t from = start; from < tail;) {
            const form::Record record = form::known_record(at(from));
            const auto slot = index.find(hash64(record.key), [&](std::size_t offset) { return offset == from; });
            if (slot != KeyIndex::none) {
                std::memcpy(at(to), at(from), record.size);
                index.move(slot, to);
                to += record.size;
                step("copied");
            }
            from += record.size;
        }
        form::store_active(at(0), {static_cast<std::uint32_t>(target / page_size), ++compactions});
        step("switched");
        clear(start, below ? limit : target);
        step("cleared");
        start = target;
        tail = to;
        limit = target_limit;
        return {};
    }

    // The newest of its key now stands at `offset`.
    void remember(const form::Record& record, std::size_t offset) {
        const std::uint64_t hash = hash64(record.key);
        const auto slot = find(record.key, hash);
        if (slot != KeyIndex::none) living -= form::known_record(at(index.offset(slot))).size;
        if (record.kind == form::RecordKind::erased) {
            if (slot != KeyIndex::none) index.erase(slot);
            return;
        }
        if (slot != KeyIndex::none)
            index.move(slot, offset);
        else
            index.insert(hash, offset);
        living += record.size;
    }

    keep::Result<> append(form::RecordKind kind, std::string_view key, std::string_view bytes, std::size_t& offset) {
        if (auto sound = check_sizes(key, bytes.size()); !sound) return sound;
        const std::size_t size = form::record_size(key.size(), bytes.size());
        if (auto room = make_room(size); !room) return room;
        offset = tail;
        form::write_record(at(tail), kind, key, bytes);
        tail += size;
        return {};
    }

    // All that the memfd holds; on an error it is as it was, but for what was torn.
    keep::Result<> read_in() {
        auto mapped = keep::sys::Mapping::of(fd.get(), keep::sys::Access::read_write);
        if (!mapped) return std::unexpected(mapped.error());
        memory = std::move(*mapped);
        const auto page = form::read_header(memory.text());
        if (!page) return std::unexpected(page.error());
        if (page->kind != form::Kind::live) return keep::fail("it is a sealed copy");
        header = page->header;
        compactions = page->active.compactions;
        if (page->active.page > 0) start = page->active.page * page_size;
        if (start > memory.size()) return keep::fail("its records are beyond its end");
        tail = start;
        form::Record record;
        while (form::read_record(memory.text().substr(tail), record) == form::Found::record) {
            remember(record, tail);
            tail += record.size;
        }
        // What else lies there may be what a killed keepd had begun; free room must read as zero.
        clear(page_size, start);
        clear(tail, memory.size());
        limit = std::min(whole_pages(tail + end_word), memory.size());
        // A hole that clear() left is memory again before it is touched.
        if (limit < tail + end_word) {
            if (auto grown = grow(0); !grown) return std::unexpected(grown.error());
        } else if (auto there = allocate(start, limit); !there) {
            return std::unexpected(there.error());
        }
        return {};
    }
};

Live::Live(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Live::Live(Live&&) noexcept = default;
Live& Live::operator=(Live&&) noexcept = default;
Live::~Live() = default;

keep::Result<Live> Live::create(const Header& header, keep::sys::Fd backing) {
    auto impl = std::make_unique<Impl>();
    impl->header = header;
    impl->fd = std::move(backing);
    if (!impl->fd) {
        auto fd = keep::sys::create_memfd("keepd-checkpoint");
        if (!fd) return keep::fail_in("checkpoint", fd.error());
        impl->fd = std::move(*fd);
    }
    if (auto done = impl->allocate(0, page_size); !done) return keep::fail_in("checkpoint", done.error());
    form::write_header(impl->at(0), header, form::Kind::live, {}, 0);
    return Live(std::move(impl));
}

keep::Result<Live> Live::attach(keep::sys::Fd&& backing) {
    auto impl = std::make_unique<Impl>();
    impl->fd = std::move(backing);
    if (auto read = impl->read_in(); !read) {
        backing = std::move(impl->fd);
        return keep::fail_in("checkpoint", read.error());
    }
    return Live(std::move(impl));
}

keep::Result<> Live::apply(const std::vector<Change>& changes) {
    const auto failed = [](const keep::Error& error) { return keep::fail_in("checkpoint: apply", error); };
    std::size_t size = 0;
    std::vector<const Change*> real;
    for (const Change& change : changes) {
        if (auto sound = check_sizes(change.key, change.bytes ? change.bytes->size() : 0); !sound)
            return failed(sound.error());
        const auto slot = impl_->find(change.key, hash64(change.key));
        if (slot == KeyIndex::none
                ? !change.bytes
                : change.bytes && form::known_record(impl_->at(impl_->index.offset(slot))).bytes == *change.bytes)
            continue;
        real.push_back(&change);
        size += form::record_size(change.key.size(), change.bytes ? change.bytes->size() : 0);
    }
    if (real.empty()) return {};
    if (auto room = impl_->make_room(size); !room) return failed(room.error());
    // From the last to the first: a reader stops where the first one is not yet.
    std::size_t offset = impl_->tail + size;
    for (const Change* change : real | std::views::reverse) {
        const std::string_view bytes = change->bytes ? std::string_view(*change->bytes) : std::string_view();
        offset -= form::record_size(change->key.size(), bytes.size());
        form::write_record(impl_->at(offset), change->bytes ? form::RecordKind::put : form::RecordKind::erased,
                           change->key, bytes);
        impl_->step("applied");
    }
    while (offset < impl_->tail + size) {
        const form::Record record = form::known_record(impl_->at(offset));
        impl_->remember(record, offset);
        offset += record.size;
    }
    impl_->tail = offset;
    return {};
}

keep::Result<> Live::put(std::string_view key, std::string_view bytes) {
    const auto slot = impl_->find(key, hash64(key));
    if (slot != KeyIndex::none && form::known_record(impl_->at(impl_->index.offset(slot))).bytes == bytes) return {};
    std::size_t offset = 0;
    if (auto done = impl_->append(form::RecordKind::put, key, bytes, offset); !done)
        return keep::fail_in("checkpoint: put '" + std::string(key) + "'", done.error());
    impl_->remember(form::known_record(impl_->at(offset)), offset);
    return {};
}

keep::Result<> Live::erase(std::string_view key) {
    if (impl_->find(key, hash64(key)) == KeyIndex::none) return {};
    std::size_t offset = 0;
    if (auto done = impl_->append(form::RecordKind::erased, key, {}, offset); !done)
        return keep::fail_in("checkpoint: erase '" + std::string(key) + "'", done.error());
    impl_->remember(form::known_record(impl_->at(offset)), offset);
    return {};
}

int Live::fd() const {
    return impl_->fd.get();
}

keep::Result<keep::sys::Fd> Live::sealed_copy(const Records& extra, int minor) const {
    const auto failed = [](const keep::Error& error) { return keep::fail_in("checkpoint: sealed copy", error); };
    std::size_t extra_size = 0;
    for (const auto& [key, bytes] : extra) {
        if (key.empty() || key.size() > form::longest_key || bytes.size() > form::longest_record)
            return failed({EINVAL, "record '" + key + "' is too long"});
        extra_size += form::record_size(key.size(), bytes.size());
    }
    auto fd = keep::sys::create_memfd("keepd-checkpoint-sealed");
    if (!fd) return failed(fd.error());
    const std::size_t size = page_size + impl_->living + extra_size;
    if (auto done = keep::sys::allocate(fd->get(), 0, size); !done) return failed(done.error());
    // By write(2): a mapping of it would fault on each page.
    std::string chunk(page_size, '\0');
    chunk.reserve(chunk_size);
    Header header = impl_->header;
    header.minor = minor;
    form::write_header(chunk.data(), header, form::Kind::sealed, {}, impl_->index.size() + extra.size());
    keep::Result<> done;
    const auto flush = [&](std::size_t at_least) {
        if (done && chunk.size() > at_least) {
            done = keep::sys::write_all(fd->get(), chunk);
            chunk.clear();
        }
    };
    for (std::size_t from = impl_->start; done && from < impl_->tail;) {
        const form::Record record = form::known_record(impl_->at(from));
        const auto slot = impl_->index.find(hash64(record.key), [&](std::size_t offset) { return offset == from; });
        if (slot != KeyIndex::none) chunk.append(impl_->at(from), record.size);
        from += record.size;
        flush(chunk_size / 2);
    }
    for (const auto& [key, bytes] : extra) {
        const std::size_t at = chunk.size();
        chunk.resize(at + form::record_size(key.size(), bytes.size()));
        form::write_record(chunk.data() + at, form::RecordKind::put, key, bytes);
        flush(chunk_size / 2);
    }
    flush(0);
    if (!done) return failed(done.error());
    if (auto sealed = keep::sys::seal(fd->get()); !sealed) return failed(sealed.error());
    return fd;
}

Live::Size Live::size() const {
    return {impl_->index.size(), impl_->living, impl_->stale(), impl_->index.memory(), impl_->compactions};
}

void Live::observe_compaction(std::function<void(std::string_view)> observer) {
    impl_->observer = std::move(observer);
}

} // namespace keepd::checkpoint
