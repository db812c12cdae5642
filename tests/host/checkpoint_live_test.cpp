// The live memfd: what is put is there, and its memory stays small.
#include <cstdint>
#include <doctest/doctest.h>

#include <cerrno>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/checkpoint/form.hpp"
#include "daemon/checkpoint/key_index.hpp"
#include "tests/host/checkpoint_support.hpp"

using namespace keepd;
using namespace keepd::checkpoint;
using namespace keepd::checkpoint::testing;

namespace {

Live fresh() {
    return *Live::create({1, 0, "0.1.0", "abcdef"});
}

std::size_t resident(int fd) {
    struct stat about{};
    REQUIRE(::fstat(fd, &about) == 0);
    return static_cast<std::size_t>(about.st_blocks) * 512;
}

// Files can't grow beyond `bytes` while this lives.
class SizeLimit {
  public:
    explicit SizeLimit(std::size_t bytes) {
        REQUIRE(::getrlimit(RLIMIT_FSIZE, &before_) == 0);
        rlimit now = before_;
        now.rlim_cur = bytes;
        REQUIRE(::setrlimit(RLIMIT_FSIZE, &now) == 0);
    }
    SizeLimit(const SizeLimit&) = delete;
    SizeLimit& operator=(const SizeLimit&) = delete;
    ~SizeLimit() { ::setrlimit(RLIMIT_FSIZE, &before_); }

  private:
    rlimit before_{};
};

} // namespace

TEST_CASE("the newest record of each key is there, with the header") {
    Live live = fresh();
    REQUIRE(live.put("daemon", "1"));
    REQUIRE(live.put("program/web", std::string("with\0zero", 9)));
    REQUIRE(live.put("daemon", "22"));
    REQUIRE(live.put("empty", ""));
    const auto loaded = load(live.fd());
    REQUIRE(loaded);
    CHECK(loaded->records == Records{{"daemon", "22"}, {"empty", ""}, {"program/web", std::string("with\0zero", 9)}});
    CHECK(loaded->torn == 0);
    CHECK(loaded->header.writer == "0.1.0");
    CHECK(loaded->header.build_id == "abcdef");
    CHECK(live.size().keys == 3);
}

TEST_CASE("an erased key is gone, and may come back") {
    Live live = fresh();
    REQUIRE(live.put("a", "1"));
    REQUIRE(live.put("b", "2"));
    REQUIRE(live.erase("a"));
    REQUIRE(live.erase("never there"));
    CHECK(load(live.fd())->records == Records{{"b", "2"}});
    REQUIRE(live.put("a", "3"));
    CHECK(load(live.fd())->records == Records{{"a", "3"}, {"b", "2"}});
}

TEST_CASE("the same bytes again cost nothing") {
    Live live = fresh();
    REQUIRE(live.put("a", "1"));
    const std::string before = bytes_of(live);
    REQUIRE(live.put("a", "1"));
    CHECK(bytes_of(live) == before);
}

TEST_CASE("any history of puts and erasures leaves what a map would hold, over compactions") {
    Random random(3);
    Live live = fresh();
    Records expected;
    for (int round = 0; round < 20'000; ++round) {
        const std::string key = "program/" + std::to_string(random() % 300);
        if (random() % 5 == 0) {
            REQUIRE(live.erase(key));
            expected.erase(key);
        } else {
            std::string bytes(random() % 700, static_cast<char>(random()));
            REQUIRE(live.put(key, bytes));
            expected[key] = std::move(bytes);
        }
        if (round % 1000 == 0 && !expected.empty()) CHECK(load(live.fd())->records == expected);
    }
    CHECK(load(live.fd())->records == expected);
    CHECK(live.size().keys == expected.size());
    CHECK(live.size().compactions > 10);
}

TEST_CASE("keys that can't be records are refused") {
    Live live = fresh();
    CHECK(live.put("", "x").error().code == EINVAL);
    CHECK(live.put(std::string(1025, 'k'), "x").error().code == EINVAL);
    CHECK(live.put(std::string(1024, 'k'), "x"));
    CHECK(live.put("big", std::string((std::size_t{64} << 20) + 1, 'x')).error().code == EMSGSIZE);
}

TEST_CASE("a thousand programs take less than a KiB each, however often they change") {
    Random random(4);
    Live live = fresh();
    for (int round = 0; round < 30'000; ++round)
        REQUIRE(
            live.put("program/worker-" + std::to_string(round % 1000), std::string(420, static_cast<char>(random()))));
    const Live::Size size = live.size();
    CHECK(size.compactions >= 5);
    CHECK(size.index <= 1000 * 24);
    CHECK(resident(live.fd()) + size.index < 1000 * 1024);
    // It gives back what it no longer needs.
    for (int i = 0; i < 1000; ++i)
        REQUIRE(live.erase("program/worker-" + std::to_string(i)));
    for (int i = 0; i < 1000; ++i)
        REQUIRE(live.put("daemon", std::to_string(i) + std::string(400, 'd')));
    CHECK(resident(live.fd()) < std::size_t{300} << 10);
    CHECK(load(live.fd())->records.size() == 1);
}

TEST_CASE("where the memory can't grow the former records stand, and it goes on when there is room again") {
    Live live = fresh();
    REQUIRE(live.put("stays", "old"));
    Records expected{{"stays", "old"}};
    std::string failure;
    {
        const SizeLimit limit(std::size_t{256} << 10);
        for (int i = 0; failure.empty() && i < 1000; ++i) {
            const std::string key = "k" + std::to_string(i);
            const auto done = live.put(key, std::string(1000, 'x'));
            if (done) {
                expected[key] = std::string(1000, 'x');
                continue;
            }
            CHECK(done.error().code == EFBIG);
            failure = done.error().message;
        }
        CHECK(failure.starts_with("checkpoint: put 'k"));
        CHECK(failure.ends_with("File too large"));
        CHECK(live.put("stays", std::string(5000, 'n')).error().code == EFBIG);
        CHECK(load(live.fd())->records == expected);
        CHECK(live.sealed_copy({{"extra", std::string(std::size_t{1} << 20, 'x')}}).error().code == EFBIG);
    }
    REQUIRE(live.put("stays", "new"));
    expected["stays"] = "new";
    CHECK(load(live.fd())->records == expected);
}

TEST_CASE("a memfd that can't grow still takes what a compaction makes room for") {
    Live live = fresh();
    const SizeLimit limit(std::size_t{128} << 10);
    for (int i = 0; i < 5000; ++i)
        REQUIRE(live.put("only", std::to_string(i) + std::string(4000, 'x')));
    CHECK(load(live.fd())->records.at("only") == "4999" + std::string(4000, 'x'));
}

TEST_CASE("a sealed copy holds exactly what lives and what is added, and can't be changed") {
    Live live = fresh();
    for (int i = 0; i < 50; ++i)
        REQUIRE(live.put("k" + std::to_string(i % 7), std::to_string(i)));
    REQUIRE(live.erase("k3"));
    const auto copy = live.sealed_copy({{"handoff", "h"}, {"k0", "instead"}});
    REQUIRE(copy);
    const auto loaded = load(copy->get());
    REQUIRE(loaded);
    Records expected = load(live.fd())->records;
    expected["handoff"] = "h";
    expected["k0"] = "instead";
    CHECK(loaded->records == expected);
    CHECK(loaded->header.build_id == "abcdef");
    CHECK(*keep::sys::is_sealed(copy->get()));
    CHECK(::pwrite(copy->get(), "x", 1, 5000) == -1);
    CHECK((::fcntl(copy->get(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK((::fcntl(live.fd(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK_FALSE(*keep::sys::is_sealed(live.fd()));
    REQUIRE(live.put("after", "still works"));
}

TEST_CASE("a sealed copy that was cut or damaged anywhere is refused whole") {
    Live live = fresh();
    REQUIRE(live.put("daemon", "12345678"));
    REQUIRE(live.put("program/web", "abcdefgh"));
    const std::string bytes = bytes_of(live.sealed_copy({})->get());
    REQUIRE(load(bytes));
    for (std::size_t length = 0; length < bytes.size(); ++length)
        CHECK_FALSE(load(std::string_view(bytes).substr(0, length)));
    for (std::size_t at = form::page_size; at < bytes.size(); ++at) {
        std::string damaged = bytes;
        damaged[at] = static_cast<char>(damaged[at] ^ 0x41);
        CHECK_FALSE(load(damaged));
    }
}

TEST_CASE("strangers, other majors and damaged headers are refused with a reason") {
    Live live = fresh();
    REQUIRE(live.put("a", "b"));
    const std::string good = bytes_of(live);
    CHECK(load(std::string_view("short")).error().message == "checkpoint: not a checkpoint of keepd");
    CHECK(load(std::string(8192, 'x')).error().message == "checkpoint: not a checkpoint of keepd");
    CHECK(load(bytes_of(fresh())).error().message == "checkpoint: holds no readable record");
    std::string bytes = good;
    bytes[8] = 2;
    CHECK(load(bytes).error().message == "checkpoint: format 2.0 cannot be read here, only 1.x");
    bytes = good;
    bytes[40] = static_cast<char>(bytes[40] ^ 1); // in the writer's name
    CHECK(load(bytes).error().message == "checkpoint: the header is damaged");
    bytes = good;
    bytes[16] = 99; // the half that counts lies outside
    CHECK_FALSE(load(bytes));
    CHECK_FALSE(load(-1));
}

TEST_CASE("a newer minor of the format is read") {
    Live live = *Live::create({1, 7, "1.7.0", "id"});
    REQUIRE(live.put("a", "b"));
    CHECK(load(live.fd())->header.minor == 7);
}

TEST_CASE("the index finds what a map would, through growth and erasures") {
    Random random(5);
    KeyIndex index;
    std::map<std::uint64_t, std::size_t> expected; // hash to offset
    const auto find = [&](std::uint64_t hash) {
        return index.find(hash, [&](std::size_t offset) { return expected.at(hash) == offset; });
    };
    for (int round = 1; round < 50'000; ++round) {
        const std::uint64_t hash = random() % 500 * 0x1'0000'0001 % 4096; // crowded: long probes
        if (expected.contains(hash)) {
            const auto slot = find(hash);
            REQUIRE(slot != KeyIndex::none);
            if (random() % 2) {
                index.erase(slot);
                expected.erase(hash);
            } else {
                expected[hash] = static_cast<std::size_t>(round) * 8;
                index.move(slot, expected[hash]);
            }
        } else {
            REQUIRE(index.find(hash, [](std::size_t) { return false; }) == KeyIndex::none);
            expected[hash] = static_cast<std::size_t>(round) * 8;
            index.insert(hash, expected[hash]);
        }
        REQUIRE(index.size() == expected.size());
    }
    for (const auto& [hash, offset] : expected)
        CHECK(index.offset(find(hash)) == offset);
}
