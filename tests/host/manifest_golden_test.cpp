// What an upgrade hands over, as each released format wrote it: tests/golden/README.md.
#include <cstdlib>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <filesystem>
#include <string>
#include <vector>

#include "daemon/upgrade/state_file.hpp"
#include "daemon/version.hpp"
#include "lib/sys/fd.hpp"
#include "tests/host/manifest_support.hpp"

using namespace keepd;
using namespace keepd::checkpoint;
using namespace keepd::checkpoint::testing;

namespace {

const std::filesystem::path folder = std::filesystem::path(KEEPD_SOURCE_ROOT) / "tests/golden";
const char* const how = "KEEPD_WRITE_GOLDEN=whole BUILD/tests/host/manifest_test -tc='golden*'";

bool writes(std::string_view what) {
    const char* asked = std::getenv("KEEPD_WRITE_GOLDEN");
    return asked && asked == what;
}

void write(const std::filesystem::path& path, std::string_view bytes) {
    const auto fd = keep::sys::open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    REQUIRE(fd);
    REQUIRE(keep::sys::write_all(fd->get(), bytes));
}

std::string stem_of(std::string_view format) {
    return folder / ("whole-" + std::string(format));
}

Whole everything() {
    return {marked_state(), marked_handoff()};
}

// A file of saved bytes as the descriptor that an image is given.
keep::sys::Fd as_descriptor(const std::string& bytes) {
    auto fd = keep::sys::create_memfd("golden");
    REQUIRE(fd);
    REQUIRE(keep::sys::write_all(fd->get(), bytes));
    return std::move(*fd);
}

std::vector<std::string> stems() {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(folder))
        if (entry.path().extension() == ".bin" && entry.path().filename().string().starts_with("whole-"))
            found.push_back(folder / entry.path().stem());
    return found;
}

} // namespace

TEST_CASE("golden: the present format has its sample, with each field that a manifest lists") {
    const std::string bin = stem_of(KEEPD_FORMAT) + ".bin";
    if (writes("whole")) {
        auto live = *Live::create({format_major, format_minor, version(), std::string(40, '0')});
        for (const auto& [key, bytes] : encode(everything().state))
            REQUIRE(live.put(key, bytes));
        write(bin, bytes_of(live.sealed_copy({{upgrade::handoff_key, save(everything().handoff)}})->get()));
    }
    const auto bytes = keep::sys::read_file(bin);
    REQUIRE_MESSAGE(bytes, "format " KEEPD_FORMAT " has no sample yet; to write it: ", how);
    const auto loaded = load(*bytes);
    REQUIRE_MESSAGE(loaded, loaded.error().message);
    CHECK_MESSAGE(loaded->records == records_of(everything()),
                  "fields were added (or lost) since the sample of format " KEEPD_FORMAT
                  " was written; if that format is released, raise KEEPD_FORMAT_MINOR (daemon/checkpoint/format.hpp); "
                  "then: ",
                  how);
}

TEST_CASE("golden: the sample of each format is read as an upgrade reads it, and means what it meant") {
    REQUIRE_FALSE(stems().empty());
    for (const std::string& stem : stems()) {
        CAPTURE(stem);
        const auto bytes = keep::sys::read_file(stem + ".bin");
        REQUIRE(bytes);
        const auto fd = as_descriptor(*bytes);
        const auto read = upgrade::read_state(fd.get());
        REQUIRE_MESSAGE(read, read.error().message);
        CHECK(read->from.major == format_major);
        CHECK(read->unknown.records.empty()); // what was ever written is known for ever
        CHECK(records_of({read->state, read->handoff}) == load(*bytes)->records);

        const std::string state = to_json(encode(read->state)), handoff = to_json(read->handoff);
        if (writes("whole") || writes("json")) {
            write(stem + ".json", state);
            write(stem + "-handoff.json", handoff);
        }
        CHECK(state == *keep::sys::read_file(stem + ".json"));
        CHECK(handoff == *keep::sys::read_file(stem + "-handoff.json"));
    }
}
