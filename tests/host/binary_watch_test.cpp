// The watch on real files: which changes it hears of, and that it sleeps through everything else.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/upgrade/binary_watch.hpp"
#include "daemon/upgrade/file_identity.hpp"
#include "lib/sys/clock.hpp"
#include "tests/lib/temporary_directory.hpp"

using keepd::core::FileIdentity;
using keepd::upgrade::BinaryWatch;
using namespace std::chrono_literals;

namespace {

struct Site {
    keep::test::TemporaryDirectory directory;
    keepd::systemd::Loop loop = *keepd::systemd::Loop::create();
    std::vector<FileIdentity> reported;
    std::vector<std::string> problems;
    std::unique_ptr<BinaryWatch> watch;
    int turns = 0; // of the loop, in which something was handled
    keepd::systemd::Source each_turn = *loop.after_turn([this] { ++turns; });

    std::string operator/(const std::string& name) const { return directory / name; }
    void file(const std::string& name, const std::string& text) const { std::ofstream(*this / name) << text; }
    void put(const std::string& name, const std::string& text) const { // as dpkg does
        file(name + ".new", text);
        std::filesystem::rename(*this / (name + ".new"), *this / name);
    }
    void begin(const std::string& name, const std::optional<FileIdentity>& known = {}) {
        auto begun = BinaryWatch::begin(
            loop, *this / name, known,
            [this](const FileIdentity& seen) {
                reported.push_back(seen);
                loop.quit();
            },
            [this](const std::string& problem) { problems.push_back(problem); });
        REQUIRE(begun);
        watch = std::move(*begun);
    }
    // Runs the loop until something is reported; what, or nothing within a generous time.
    std::optional<FileIdentity> next(keep::Duration patience = 20s) {
        reported.clear();
        auto deadline = *loop.timer([this] { loop.quit(); });
        REQUIRE(deadline.set_time(keep::sys::monotonic_now() + patience));
        REQUIRE(loop.run());
        if (reported.empty()) return std::nullopt;
        return reported.back();
    }
    // Everything that waits is handled: events are there when the system call that causes them returns.
    void handle_events() {
        auto soon = *loop.timer([this] { loop.quit(); });
        REQUIRE(soon.set_time(keep::sys::monotonic_now() + 1ms));
        REQUIRE(loop.run());
    }
    std::optional<FileIdentity> there(const std::string& name) const {
        return keepd::upgrade::identify_file(*this / name);
    }
};

} // namespace

TEST_CASE("a file that is renamed over the path, again and again") {
    Site site;
    site.file("keepd", "one");
    site.begin("keepd");
    CHECK(site.next() == site.there("keepd")); // nothing was known
    for (const std::string text : {"two", "three"}) {
        site.put("keepd", text);
        CHECK(site.next() == site.there("keepd"));
    }
    CHECK(site.problems.empty());
}

TEST_CASE("symlinks of the way that are switched, and directories that vanish and come back") {
    Site site;
    for (const std::string release : {"releases/7", "releases/8"})
        std::filesystem::create_directories(site / release);
    site.file("releases/7/keepd", "seven");
    site.file("releases/8/keepd", "eight");
    std::filesystem::create_symlink("releases/7", site / "current");
    std::filesystem::create_symlink("current/keepd", site / "keepd");
    site.begin("keepd");
    CHECK(site.next() == site.there("releases/7/keepd"));

    std::filesystem::create_symlink("releases/8", site / "current.new");
    std::filesystem::rename(site / "current.new", site / "current");
    CHECK(site.next() == site.there("releases/8/keepd"));

    SUBCASE("behind the switched link it goes on") {
        site.put("releases/8/keepd", "eight and a half");
        CHECK(site.next() == site.there("releases/8/keepd"));
    }
    SUBCASE("a directory moves away and another comes in its place") {
        std::filesystem::create_directories(site / "fresh/8");
        site.file("fresh/8/keepd", "eight again");
        std::filesystem::rename(site / "releases", site / "old");
        site.handle_events();
        CHECK(site.reported.size() == 1);
        std::filesystem::rename(site / "fresh", site / "releases");
        CHECK(site.next() == site.there("releases/8/keepd"));
    }
    SUBCASE("everything is removed and made anew, step by step") {
        std::filesystem::remove_all(site / "releases");
        site.handle_events();
        std::filesystem::create_directory(site / "releases");
        site.handle_events();
        std::filesystem::create_directory(site / "releases/8");
        site.handle_events();
        site.file("releases/8/keepd", "from scratch");
        CHECK(site.next() == site.there("releases/8/keepd"));
    }
}

TEST_CASE("a file that is being written in place is left alone until its writer is done") {
    Site site;
    site.file("keepd", "one");
    site.begin("keepd");
    REQUIRE(site.next());
    const int writer = open((site / "keepd").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
    REQUIRE(writer >= 0);
    REQUIRE(write(writer, "more", 4) == 4);
    // Longer than the file would have to lie still.
    CHECK_FALSE(site.next(400ms));
    REQUIRE(write(writer, "more", 4) == 4);
    CHECK_FALSE(site.next(400ms));
    close(writer);
    const auto seen = site.next();
    REQUIRE(seen);
    CHECK(seen->size == 11);
    SUBCASE("another file in its place has no writer") {
        const int again = open((site / "keepd").c_str(), O_WRONLY | O_CLOEXEC);
        REQUIRE(write(again, "x", 1) == 1);
        site.put("keepd", "whole");
        CHECK(site.next() == site.there("keepd"));
        close(again);
    }
}

TEST_CASE("the mode is mended: another file as far as the watch is concerned") {
    Site site;
    site.file("keepd", "one");
    chmod((site / "keepd").c_str(), 0644);
    site.begin("keepd");
    REQUIRE(site.next());
    chmod((site / "keepd").c_str(), 0755);
    CHECK(site.next() == site.there("keepd"));
}

TEST_CASE("nothing is reported of what is known, and nothing wakes the loop when nothing happens") {
    Site site;
    site.file("keepd", "one");
    site.begin("keepd", site.there("keepd"));
    CHECK_FALSE(site.next(400ms));
    CHECK(site.turns == 0);
    site.file("neighbour", "is none of its business");
    CHECK_FALSE(site.next(400ms));
}

TEST_CASE("more events than the kernel keeps") {
    Site site;
    site.file("keepd", "one");
    site.begin("keepd");
    REQUIRE(site.next());
    std::size_t limit = 16384;
    std::ifstream("/proc/sys/fs/inotify/max_queued_events") >> limit;
    site.put("keepd", "two");
    const std::string from = site / "a", to = site / "b";
    site.file("a", "");
    for (std::size_t i = 0; i <= limit / 4 + 1; ++i) { // two events each, that are not like the ones before
        rename(from.c_str(), to.c_str());
        rename(to.c_str(), from.c_str());
    }
    CHECK(site.next() == site.there("keepd"));
    site.put("keepd", "three");
    CHECK(site.next() == site.there("keepd"));
}

TEST_CASE("the receiver may end the watch") {
    Site site;
    site.file("keepd", "one");
    auto begun = BinaryWatch::begin(
        site.loop, site / "keepd", {},
        [&](const FileIdentity&) {
            site.watch.reset();
            site.loop.quit();
        },
        [](const std::string&) {});
    REQUIRE(begun);
    site.watch = std::move(*begun);
    (void)site.next();
    CHECK_FALSE(site.watch);
}
