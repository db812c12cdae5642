// Run numbers are never used again, whatever ended the keepd before.
#include <cstdlib>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>

#include "daemon/host/run_numbers.hpp"

using keepd::host::give_back_run_numbers;
using keepd::host::reserve_run_numbers;

namespace {

struct TemporaryDirectory {
    std::string path;
    TemporaryDirectory() {
        char name[] = "/tmp/keepd-numbers-XXXXXX";
        path = mkdtemp(name);
    }
    ~TemporaryDirectory() { std::filesystem::remove_all(path); }
};

} // namespace

TEST_CASE("after an orderly end numbers go on, after a crash they skip what may have been used") {
    const TemporaryDirectory directory;
    CHECK(reserve_run_numbers(directory.path).first == 1);
    give_back_run_numbers(directory.path, 42);
    CHECK(reserve_run_numbers(directory.path).first == 42);
    const auto after_crash = reserve_run_numbers(directory.path);
    CHECK(after_crash.first > 42 + 100'000);
    CHECK(after_crash.problem.empty());
}

TEST_CASE("a file that holds no number and a directory that can't be written are said") {
    const TemporaryDirectory directory;
    std::ofstream(directory.path + "/next-run") << "many\n";
    CHECK(reserve_run_numbers(directory.path).problem.find("holds no number") != std::string::npos);
    const auto nowhere = reserve_run_numbers(directory.path + "/missing");
    CHECK(nowhere.first == 1);
    CHECK(nowhere.problem.find("may be used again") != std::string::npos);
}
