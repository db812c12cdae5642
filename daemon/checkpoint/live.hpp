// The live checkpoint: a memfd that keepd keeps current while it runs.
//
// Two halves of records; a header says which half counts. A record is key, length, checksum, bytes; the newest of a key
// wins, a torn one (wrong checksum or length) ends the reading of its half. When a half is full, or mostly stale, what
// lives is written into the other half and one 8-byte store switches: no instant of a crash finds nothing.
//
// The halves are not of one size: the one in use may grow over all that lies behind it, for the other one is empty
// between compactions and its memory given back.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/checkpoint/checkpoint.hpp"
#include "lib/sys/fd.hpp"

namespace keepd::checkpoint {

// The header that every saved form starts with.
struct Header {
    int major = format_major;
    int minor = format_minor;
    std::string writer;   // version of the image that wrote it
    std::string build_id; // of that image
};

class Live {
  public:
    // In `backing` (an empty file of one's own), or in a memfd.
    static keep::Result<Live> create(const Header&, keep::sys::Fd backing = {});
    // Goes on with what another image, or a keepd that was killed, had kept. What was torn at its end is cleared; the
    // header stays its first writer's. Errors: as load(), and of memory; `backing` is the caller's still then.
    static keep::Result<Live> attach(keep::sys::Fd&& backing);
    Live(Live&&) noexcept;
    Live& operator=(Live&&) noexcept;
    ~Live();

    // Appends the record; compacts when needed. The same bytes again cost nothing. No system call unless the memory
    // grows or is compacted. Errors: ENOMEM/ENOSPC/EFBIG when the memfd can't grow, EMSGSIZE for a record above 64 MiB,
    // EINVAL for a key that is empty or above 1 KiB: the former record of the key still stands.
    keep::Result<> put(std::string_view key, std::string_view bytes);
    // Forgets the key; one that is not there is no error. Errors: as put().
    keep::Result<> erase(std::string_view key);
    // All of them or, should keepd die on the way, none: a reload is not half there. No key twice. Errors: as put().
    struct Change {
        std::string key;
        std::optional<std::string> bytes; // nothing: erased
    };
    keep::Result<> apply(const std::vector<Change>& changes);

    int fd() const;
    // A sealed memfd with exactly the living records (plus `extra`), for a rehearsal or an exec. Close-on-exec. Where
    // both have a key, `extra`'s counts. `minor`: of the format that its reader knows; the header says it, and nothing
    // else depends on it: what an older reader does not know it keeps.
    keep::Result<keep::sys::Fd> sealed_copy(const Records& extra, int minor = format_minor) const;

    struct Size {
        std::size_t keys = 0;
        std::size_t living = 0; // bytes of records that count
        std::size_t stale = 0;  // bytes of records that were replaced, until the next compaction
        std::size_t index = 0;  // bytes of the index, on the heap
        std::uint32_t compactions = 0;
    };
    Size size() const;

    // For tests: called between the steps of a compaction, each an instant at which keepd could die.
    void observe_compaction(std::function<void(std::string_view step)>);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
    explicit Live(std::unique_ptr<Impl>);
};

struct Loaded {
    Header header;
    Records records;
    std::size_t torn = 0; // records that were ignored
};
// Reads either form, the live one and the sealed copy; a live one in the state that its writer left it in. Errors: no
// magic, another major, nothing readable; of a sealed one, a record missing or torn.
keep::Result<Loaded> load(int fd);
// The same of bytes in memory.
keep::Result<Loaded> load(std::string_view bytes);

// The same without a copy: `bytes` must stay as they are for as long as the views are used.
struct Viewed {
    Header header;
    RecordViews records;
    std::size_t torn = 0;
};
keep::Result<Viewed> view(std::string_view bytes);

} // namespace keepd::checkpoint
