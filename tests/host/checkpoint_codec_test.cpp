// The codec alone: each kind of value, the checks of manifests, and bytes that are no saved form.
#include <cstdint>
#include <doctest/doctest.h>

#include <set>

#include "daemon/checkpoint/codec.hpp"
#include "daemon/checkpoint/hash.hpp"
#include "tests/host/checkpoint_support.hpp"

namespace {

enum class Colour : std::uint8_t { red, green };
constexpr std::string_view enum_word(Colour colour) {
    switch (colour) {
    case Colour::red: return "red";
    case Colour::green: return "green";
    }
    return {};
}

struct Idle {
    bool operator==(const Idle&) const = default;
};
struct Busy {
    int with = 3;
    bool operator==(const Busy&) const = default;
};
constexpr std::string_view alternative_word(const Idle*) {
    return "idle";
}
constexpr std::string_view alternative_word(const Busy*) {
    return "busy";
}
template <class V>
constexpr void fields(Idle&, V&) {}
template <class V>
constexpr void fields(Busy& self, V& visit) {
    visit("with", self.with);
}

// Of every kind one.
struct Everything {
    bool flag = true;
    std::int8_t small = -5;
    std::uint64_t large = 7;
    double share = 0.5;
    std::string text = "default";
    keep::Duration wait{};
    keep::Time until{};
    keep::WallTime at;
    Colour colour = Colour::green;
    std::optional<int> maybe = 2;
    std::vector<std::string> list{"one"};
    std::deque<keep::Time> times;
    std::set<Colour> colours;
    std::map<std::string, std::optional<std::string>> map;
    std::variant<Idle, Busy> work;
    Busy nested{9}; // not as a Busy of its own would start
    bool operator==(const Everything&) const = default;
};
template <class V>
constexpr void fields(Everything& self, V& visit) {
    visit("flag", self.flag);
    visit("small", self.small);
    visit("large", self.large);
    visit("share", self.share);
    visit("text", self.text);
    visit("wait", self.wait);
    visit("until", self.until);
    visit("at", self.at);
    visit("colour", self.colour);
    visit("maybe", self.maybe);
    visit("list", self.list);
    visit("times", self.times);
    visit("colours", self.colours);
    visit("map", self.map);
    visit("work", self.work);
    visit("nested", self.nested, keepd::checkpoint::critical);
}

// Manifests with each fault that the compiler is to find.
struct Forgetful {
    int a, b;
    std::optional<int> c;
};
template <class V>
constexpr void fields(Forgetful& self, V& visit) {
    visit("a", self.a);
    visit("b", self.b);
}
struct Repeating {
    int a, b;
};
template <class V>
constexpr void fields(Repeating& self, V& visit) {
    visit("a", self.a);
    visit("b", self.a);
}
struct TwoOfOneName {
    int a, b;
};
template <class V>
constexpr void fields(TwoOfOneName& self, V& visit) {
    visit("a", self.a);
    visit("a", self.b);
}
struct Stranger {
    struct {
        int x, y;
    } inside;
};
template <class V>
constexpr void fields(Stranger& self, V& visit) {
    visit("x", self.inside.x);
    visit("y", self.inside.y);
}

// A default that changed after a release.
struct Mended {
    int patience = 10;
    bool operator==(const Mended&) const = default;
};
template <class V>
constexpr void fields(Mended& self, V& visit) {
    visit("patience", self.patience);
}
Mended saved_default(std::type_identity<Mended>) {
    return {5};
}

} // namespace

using namespace keepd;
using namespace keepd::checkpoint;
using namespace keepd::checkpoint::testing;

namespace {

std::string refusal(std::string_view bytes) {
    const auto value = restore<Everything>(bytes);
    return value ? "" : value.error().message;
}

} // namespace

TEST_CASE("a value at its defaults takes no bytes") {
    CHECK(save(Everything{}).empty());
    CHECK(restore<Everything>("") == Everything{});
}

TEST_CASE("each change of each kind of field travels, alone") {
    const auto all = changes<Everything>();
    REQUIRE(all.size() > 40);
    for (const auto& change : all) {
        Everything value;
        change(value);
        const std::string bytes = save(value);
        CHECK(!bytes.empty());
        const auto again = restore<Everything>(bytes);
        REQUIRE(again);
        CHECK(*again == value);
        CHECK(save(*again) == bytes);
    }
}

TEST_CASE("a nested struct is saved against what its place starts with") {
    Everything value;
    value.nested.with = 3; // the default of its type, not of its place
    CHECK(save(value) == raw_field("nested", true, raw_field("with", false, "\x06")));
    CHECK(restore<Everything>(save(value)) == value);
}

TEST_CASE("a default that changed later means in old records what it meant when they were written") {
    CHECK(restore<Mended>("")->patience == 5);
    CHECK(save(Mended{5}).empty());
    CHECK(restore<Mended>(save(Mended{10}))->patience == 10);
}

TEST_CASE("the compiler finds manifests that forget, repeat or stray") {
    CHECK(codec::manifest_fault<Everything>() == codec::ManifestFault::none);
    CHECK(codec::manifest_fault<Forgetful>() == codec::ManifestFault::forgets);
    CHECK(codec::manifest_fault<Repeating>() == codec::ManifestFault::named_twice);
    CHECK(codec::manifest_fault<TwoOfOneName>() == codec::ManifestFault::named_twice);
    CHECK(codec::manifest_fault<Stranger>() == codec::ManifestFault::lists_more);
}

TEST_CASE("bytes that are no saved form are refused with their place") {
    CHECK(refusal(raw_field("flag", false, "\x02")) == "flag: neither true nor false");
    CHECK(refusal(raw_field("flag", false, "")) == "flag: cut short");
    CHECK(refusal(raw_field("flag", false, std::string("\1\1", 2))) == "flag: more bytes than its type has");
    CHECK(refusal(raw_field("small", false, "\x80\x02")) == "small: number out of range");
    CHECK(refusal(raw_field("large", false, std::string(10, '\xFF'))) == "large: number out of range");
    CHECK(refusal(raw_field("large", false, std::string("\x81\x00", 2))) == "large: number not in its shortest form");
    CHECK(refusal(raw_field("large", false, "\x81")) == "large: cut short");
    CHECK(refusal(raw_field("share", false, std::string("\0\0\0\0\0\0\xF8\x7F", 8))) == "share: not a finite number");
    CHECK(refusal(raw_field("colour", false, "blue")) == "colour: unknown word 'blue'");
    CHECK(refusal(raw_field("work", false, "\x05sleep")) == "work: unknown word 'sleep'");
    CHECK(refusal(raw_field("work", false,
                            "\x09"
                            "idle")) == "work: cut short");
    CHECK(refusal(raw_field("work", false,
                            "\x04"
                            "busy" +
                                raw_field("with", false, "\x80"))) == "work.busy.with: cut short");
    CHECK(refusal(raw_field("colours", false, "\x05green\x03red")) == "colours: elements twice or out of order");
    CHECK(refusal(raw_field("times", false, std::string("\x01\x00\x01", 3))) == "times: cut short");
    CHECK(refusal(raw_field("times", false, std::string("\x01\x00\x02\x00\x00", 5))) ==
          "times[1]: more bytes than its type has");
    CHECK(refusal(raw_field("map", false, std::string("\1b\1\0\1a\1\0", 8))) == "map: key twice or out of order: 'a'");
    CHECK(refusal(raw_field("map", false, std::string("\1b\1\0\1b\1\0", 8))) == "map: key twice or out of order: 'b'");
    CHECK(refusal(raw_field("map", false, std::string("\2\"a\1\7", 5))) == "map[\"\\\"a\"]: neither true nor false");
    CHECK(refusal(raw_field("new", true, "")) == "unknown critical field 'new'");
    CHECK(refusal(raw_field("nested", true, raw_field("new", true, "x"))) == "nested: unknown critical field 'new'");
    CHECK(refusal(raw_field("text", false, "a") + raw_field("text", false, "b")) ==
          "field twice or out of order: 'text'");
    CHECK(refusal(raw_field("text", false, "a") + raw_field("flag", false, "\1")) ==
          "field twice or out of order: 'flag'");
    CHECK(refusal(std::string("\0", 1)) == "not a sequence of fields");
    CHECK(refusal("\x05"
                  "fla") == "not a sequence of fields");
}

TEST_CASE("every prefix of a saved form is read or refused, and never read beyond") {
    Everything value;
    for (const auto& change : changes<Everything>())
        change(value);
    const std::string bytes = save(value);
    std::size_t refused = 0;
    for (std::size_t length = 0; length < bytes.size(); ++length) {
        const std::string prefix(bytes, 0, length); // a buffer of its own: the sanitizer sees one byte too far
        const auto read = restore<Everything>(prefix);
        if (read)
            CHECK(save(*read) == prefix);
        else
            ++refused;
    }
    CHECK(refused > bytes.size() / 2);
}

TEST_CASE("a list longer than anyone writes is refused before it fills the memory") {
    const std::string bytes = raw_field("list", false, std::string((std::size_t{1} << 20) + 1, '\0'));
    CHECK(refusal(bytes) == "list: too many elements");
}

TEST_CASE("JSON shows every field, and survives bytes that are no text") {
    Everything value;
    value.text = "quote \" \xFF\x01 \xC3\xA4 \xED\xA0\x80";
    value.map["k"] = std::nullopt;
    value.wait = std::chrono::milliseconds(1500);
    const std::string json = to_json(value);
    CHECK(json.find("\"text\": \"quote \\\" \\ufffd\\u0001 \xC3\xA4 \\ufffd\\ufffd\\ufffd\"") != std::string::npos);
    CHECK(json.find("\"map\": {\n    \"k\": null\n  }") != std::string::npos);
    CHECK(json.find("\"colour\": \"green\"") != std::string::npos);
    CHECK(json.find("\"times\": []") != std::string::npos);
    CHECK(json.find("\"wait\": \"1.5s\"") != std::string::npos);
}

TEST_CASE("the hash is XXH64") {
    CHECK(hash64("") == 0xEF46DB3751D8E999);
    CHECK(hash64("a") == 0xD24EC4F1A98C6E5B);
    CHECK(hash64("abc") == 0x44BC2CF5AD770999);
    CHECK(hash64("Nobody inspects the spammish repetition") == 0xFBCEA83C8A378BF1);
}
