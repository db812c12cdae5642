#include "daemon/host/run_numbers.hpp"

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <fcntl.h>

#include "lib/sys/fd.hpp"

namespace keepd::host {

namespace {

constexpr std::uint64_t range = 1'000'000;

std::string file_in(const std::string& state_dir) {
    return state_dir + "/next-run";
}

// Whole or not at all: under a new name first.
keep::Result<> write_number(const std::string& state_dir, std::uint64_t number) {
    const std::string fresh = file_in(state_dir) + ".new";
    const auto file = keep::sys::open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);
    if (!file) return std::unexpected(file.error());
    if (auto done = keep::sys::write_all(file->get(), std::to_string(number) + "\n"); !done) return done;
    if (std::rename(fresh.c_str(), file_in(state_dir).c_str()) != 0) return keep::fail_errno("rename", fresh, errno);
    return {};
}

} // namespace

RunNumbers reserve_run_numbers(const std::string& state_dir) {
    RunNumbers numbers;
    if (const auto text = keep::sys::read_file(file_in(state_dir), 64); text) {
        const auto [end, bad] = std::from_chars(text->data(), text->data() + text->size(), numbers.first);
        if (bad != std::errc{} || numbers.first == 0) {
            numbers.first = 1;
            numbers.problem = "'" + file_in(state_dir) + "' holds no number, run numbers start anew";
        }
    } else if (text.error().code != ENOENT) {
        numbers.problem = "run numbers start anew: " + text.error().message;
    }
    if (const auto written = write_number(state_dir, numbers.first + range); !written)
        numbers.problem = "run numbers may be used again after the next start of keepd: " + written.error().message;
    return numbers;
}

void give_back_run_numbers(const std::string& state_dir, std::uint64_t next) {
    (void)write_number(state_dir, next); // the reserved range stands if this fails: numbers are skipped, not reused
}

} // namespace keepd::host
