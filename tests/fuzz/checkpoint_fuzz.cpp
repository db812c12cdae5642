// Arbitrary bytes as a checkpoint, as a record and as a state: nothing crashes, and whatever is read encodes
// canonically, so that it is read again as the same value from the same bytes.
//
// The first byte chooses what the rest is, for a mutated file would hardly ever get past its checksums:
//   'f' a file, live or sealed   'p' the record of a program   'd' keepd's own   's' both: length of the first, records
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "daemon/checkpoint/checkpoint.hpp"
#include "daemon/checkpoint/live.hpp"
#include "daemon/checkpoint/manifest_core.hpp"
#include "daemon/checkpoint/unknown.hpp"

using namespace keepd;
using namespace keepd::checkpoint;

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

template <class T>
void try_record(std::string_view bytes) {
    Kept kept;
    const auto value = restore<T>(bytes, &kept);
    if (!value) {
        require(!value.error().message.empty());
        return;
    }
    const std::string saved = save(*value, &kept);
    Kept kept_again;
    const auto again = restore<T>(saved, &kept_again);
    require(again && *again == *value && kept_again == kept);
    require(save(*again, &kept_again) == saved);
    require(restore<T>(save(*value)) == *value);
    to_json(*value);
}

void try_records(const Records& records) {
    to_json(records);
    Unknown kept;
    const auto state = decode(records, kept);
    if (!state) return;
    const Records saved = encode(*state, kept);
    Unknown kept_again;
    const auto again = decode(saved, kept_again);
    require(again && *again == *state && kept_again == kept);
    require(digest(encode(*again, kept_again)) == digest(saved));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
    switch (data[0]) {
    case 'f':
        if (const auto loaded = load(rest)) try_records(loaded->records);
        break;
    case 'p': try_record<core::Program>(rest); break;
    case 'd': try_record<core::Daemon>(rest); break;
    case 's':
        if (rest.size() >= 2) {
            const std::size_t length = static_cast<unsigned char>(rest[0]) |
                                       static_cast<std::size_t>(static_cast<unsigned char>(rest[1])) << 8;
            rest.remove_prefix(2);
            const std::string_view first = rest.substr(0, length), second = rest.substr(first.size());
            std::string name = "web";
            if (const auto program = restore<core::Program>(second)) name = program->spec.name;
            try_records({{"daemon", std::string(first)}, {program_key(name), std::string(second)}});
        }
        break;
    }
    return 0;
}
