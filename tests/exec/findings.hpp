// What a test finds, in words: results, descriptors, and faults found where doctest's assertions cannot be used.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "tests/exec/own_process.hpp"
#include "tests/exec/support.hpp"

namespace keep::test {

// What a result says of itself: "" for a success, else the error's text.
template <typename T>
std::string said(const exec::Result<T>& result) {
    return result ? std::string() : result.error().message();
}

// For in_own_process() and for threads: a fault unless it holds.
void expect(Notes& notes, bool holds, std::string_view what);
void expect_equal(Notes& notes, std::string_view found, std::string_view wanted);

// What the helper's mode `describefiles` printed: number -> target.
std::map<int, std::string> described(std::string_view text);
std::string numbers_of(const std::map<int, std::string>& descriptors); // "0 1 2 5"

// A file with this text, at its beginning, for reading and writing; close-on-exec.
Fd open_file(const std::string& path, std::string_view text = {});
bool is_close_on_exec(int fd);
std::string read_to_end(int fd);

// The helper's `hang subsleep`, whose child goes on without it, in a process group of their own. Takes the command's
// standard error to notice when all have ended. Outlives the command; what is left then is killed and awaited.
class LeftBehind {
  public:
    explicit LeftBehind(exec::Cmd& not_started);
    ~LeftBehind() { end(); }
    LeftBehind(const LeftBehind&) = delete;
    LeftBehind& operator=(const LeftBehind&) = delete;

    void started(pid_t leader); // once the command has started
    bool lives() const;
    void end();

  private:
    Fd watched_;
    Fd held_;
    pid_t group_ = 0;
};

} // namespace keep::test
