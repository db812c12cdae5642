#include "daemon/checkpoint/form.hpp"

#include "daemon/checkpoint/live.hpp"
#include "lib/sys/memfd.hpp"
#include <cstdint>
#include <utility>

namespace keepd::checkpoint {

keep::Result<Viewed> view(std::string_view bytes) {
    const auto page = form::read_header(bytes);
    if (!page) return keep::fail_in("checkpoint", page.error());
    Viewed loaded;
    loaded.header = page->header;
    const std::size_t start = page->active.page * form::page_size;
    std::string_view rest = page->active.page > 0 && start <= bytes.size() ? bytes.substr(start) : std::string_view{};
    std::uint64_t whole = 0;
    form::Record record;
    form::Found found;
    while ((found = form::read_record(rest, record)) == form::Found::record) {
        ++whole;
        if (record.kind == form::RecordKind::put)
            loaded.records.insert_or_assign(record.key, record.bytes);
        else if (const auto erased = loaded.records.find(record.key); erased != loaded.records.end())
            loaded.records.erase(erased);
        rest.remove_prefix(record.size);
    }
    if (found == form::Found::torn) ++loaded.torn;
    if (page->kind == form::Kind::sealed && (whole != page->count || loaded.torn > 0))
        return keep::fail("checkpoint: record " + std::to_string(whole + 1) + " of " + std::to_string(page->count) +
                          " is " + (loaded.torn > 0 ? "damaged" : "missing"));
    if (whole == 0) return keep::fail("checkpoint: holds no readable record");
    return loaded;
}

keep::Result<Loaded> load(std::string_view bytes) {
    auto viewed = view(bytes);
    if (!viewed) return std::unexpected(viewed.error());
    Loaded loaded{std::move(viewed->header), {}, viewed->torn};
    for (const auto& [key, value] : viewed->records)
        loaded.records.emplace_hint(loaded.records.end(), key, value);
    return loaded;
}

keep::Result<Loaded> load(int fd) {
    const auto mapping = keep::sys::Mapping::of(fd, keep::sys::Access::read_only);
    if (!mapping) return keep::fail_in("checkpoint", mapping.error());
    return load(mapping->text());
}

} // namespace keepd::checkpoint
