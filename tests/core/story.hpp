// A story: events with their times, and below each what the policy did. tests/core/scenarios/README says how they
// are written.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace keepd::core::test {

struct Story {
    std::string title;
    std::vector<std::string> lines; // as written, expectations ("> ...") included
};

// The stories of a file, in order. Text before the first title is the file's own comment and is not a story.
std::vector<Story> stories_of(const std::string& text);

// The same lines with the expectations replaced by what really happened. Throws std::runtime_error on a line that
// it can't read.
std::vector<std::string> tell_again(const Story& story);

} // namespace keepd::core::test
