// What the log pump's tests share: a directory of their own, writers, what is in the files, and disks that misbehave.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/logs/io.hpp"
#include "daemon/logs/pump.hpp"
#include "lib/sys/fd.hpp"

namespace pump_test {

inline constexpr keep::Duration patience = std::chrono::seconds(30); // how long a hang takes to be a failure

class TempDir {
  public:
    TempDir();
    ~TempDir();
    std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }

  private:
    std::string path_;
};

std::string content(const std::string& path); // "" if there is none
void put(const std::string& path, std::string_view bytes);
bool exists(const std::string& path);
std::vector<std::string> rotated(const std::string& path); // PATH.n .. PATH.1, PATH: oldest first
std::string joined(const std::string& path);               // their contents

// Writes all of it, in pieces of random sizes if a generator is given; waits like any program does. Safe in threads.
void write_to(int fd, std::string_view bytes, std::mt19937* sizes = nullptr);
// "NAME 000000 xxxx\n" with random lengths.
std::string numbered_lines(std::string_view name, int count, std::mt19937& random, std::size_t longest = 300);
// Reads `count` bytes, waiting for them at most `patience`; fewer if they do not come.
std::string read_exactly(int fd, std::size_t count);

// Waits until `holds` of the stream's status, by the pump's own notice. False after `patience`.
bool await(const keepd::logs::Pump&, const std::string& id,
           const std::function<bool(const keepd::logs::StreamStatus&)>& holds);
// Wait until the file holds this, or is there.
bool await_content(const std::string& path, std::string_view bytes);
bool await_existence(const std::string& path);
bool has_problem(const keepd::logs::StreamStatus&);
bool has_no_problem(const keepd::logs::StreamStatus&);

std::size_t open_descriptors();

// Log files on a disk that fails or hangs at the path of choice.
class BadDisk : public keepd::logs::Io {
  public:
    BadDisk();
    // From now on splice and write to files whose path contains `part` fail with `code`; 0: work again.
    void fail_writes(std::string part, int code);
    void fail_renames(int code) { rename_error_ = code; }
    void refuse_splice(bool refuses) { refuses_splice_ = refuses; }
    void short_writes(std::size_t most) { most_ = most; }
    // From now on a write to such a file does not return; wait_for_hang() returns when one is in it (false: never).
    void hang(std::string part);
    bool wait_for_hang();
    void release();

    ssize_t splice(int from, int to, std::int64_t* offset, std::size_t length) override;
    ssize_t write(int to, std::string_view bytes, std::int64_t* offset) override;
    int rename(const char* from, const char* to) override;

  private:
    int trouble(int fd); // 0, or the errno to fail with; hangs

    std::mutex mutex_;
    std::string failing_;
    std::string hanging_;
    int error_ = 0;
    std::atomic<int> rename_error_{0};
    std::atomic<bool> refuses_splice_{false};
    std::atomic<std::size_t> most_{SIZE_MAX};
    keep::sys::Pipe gate_;
    keep::sys::Pipe arrived_;
};

} // namespace pump_test
