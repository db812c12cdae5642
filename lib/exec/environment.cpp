#include "lib/exec/environment.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <sys/stat.h>
#include <unistd.h>
#include <unordered_set>

#include "lib/exec/clean_path.hpp"
#include "lib/exec/error_data.hpp"

namespace keep::exec {
namespace {

// What stands before the "=" that separates; a leading "=" belongs to the key. Nothing: the entry has no key.
std::optional<std::string_view> key_of(std::string_view entry) {
    std::size_t equals = entry.find('=');
    if (equals == 0) {
        const std::size_t second = entry.find('=', 1);
        return entry.substr(0, second == std::string_view::npos ? 0 : second);
    }
    if (equals == std::string_view::npos) return std::nullopt;
    return entry.substr(0, equals);
}

constexpr std::size_t small_environment = 160;

// What tells most keys apart at a glance: the beginning, the end, the length.
std::size_t quick_hash(std::string_view key) {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    const std::size_t part = std::min(key.size(), sizeof begin);
    std::memcpy(&begin, key.data(), part);
    std::memcpy(&end, key.data() + key.size() - part, part);
    const std::uint64_t mixed = (begin * 3 + end + key.size()) * 0x9e3779b97f4a7c15ULL;
    return mixed >> 32;
}

// What stands before the first "="; nothing where there is none, or it comes first.
std::string_view simple_key(const char* entry) {
    const char* const end = ::strchrnul(entry, '=');
    return {entry, *end == '\0' ? 0 : static_cast<std::size_t>(end - entry)};
}

// Whether this environment can be handed over as it is: every entry has a key, and no key stands twice. This is asked
// at each start, so it neither allocates nor copies, looks at no value, and touches little memory.
bool is_plain(char* const* list) {
    constexpr std::size_t slots = 512;      // more than twice the entries: few collisions
    std::array<std::uint8_t, slots> seen{}; // 1 + the entry's index
    for (std::size_t i = 0; list != nullptr && list[i] != nullptr; ++i) {
        const std::string_view key = simple_key(list[i]);
        if (i == small_environment || key.empty()) return false; // the general way knows what to do
        std::size_t at = quick_hash(key) % slots;
        for (; seen[at] != 0; at = (at + 1) % slots) {
            if (simple_key(list[seen[at] - 1U]) == key) return false;
        }
        seen[at] = static_cast<std::uint8_t>(i + 1);
    }
    return true;
}

// The current directory as Go's os.Getwd has it: $PWD if it is that directory, so that its symbolic links stay.
std::string current_directory() {
    const char* pwd = std::getenv("PWD");
    struct stat by_name{};
    struct stat here{};
    if (pwd != nullptr && pwd[0] == '/' && ::stat(pwd, &by_name) == 0 && ::stat(".", &here) == 0 &&
        by_name.st_dev == here.st_dev && by_name.st_ino == here.st_ino) {
        return pwd;
    }
    char* found = ::get_current_dir_name();
    std::string directory = found != nullptr ? found : "";
    std::free(found);
    return directory;
}

std::string absolute(const std::string& path) {
    if (path.starts_with('/')) return clean_path(path);
    const std::string here = current_directory();
    return here.empty() ? "" : clean_path(here + "/" + path);
}

} // namespace

Result<> Environment::build(const CmdConfig& config) {
    if (!config.env && config.dir.empty() && is_plain(environ)) return {};
    own_ = true;
    if (config.env) {
        for (const std::string& entry : *config.env) {
            if (entry.find('\0') != std::string::npos) {
                has_nul_ = true;
            } else {
                list_.push_back(const_cast<char*>(entry.c_str())); // execve(2) writes to none of them
            }
        }
    } else {
        for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry)
            list_.push_back(*entry);
        if (!config.dir.empty()) {
            const std::string directory = absolute(config.dir);
            if (directory.empty()) return failed(call_error("getwd", "", errno));
            pwd_ = "PWD=" + directory;
            has_nul_ = directory.find('\0') != std::string::npos;
            if (!has_nul_) list_.push_back(pwd_.data());
        }
    }
    keep_last_of_each();
    list_.push_back(nullptr);
    return {};
}

void Environment::keep_last_of_each() {
    std::unordered_set<std::string_view> seen;
    const auto is_dropped = [&](const char* entry) {
        if (*entry == '\0') return true;
        const auto key = key_of(entry);
        return key && !seen.insert(*key).second;
    };
    std::ranges::reverse(list_);
    std::erase_if(list_, is_dropped);
    std::ranges::reverse(list_);
}

std::vector<std::string> Environment::copy() const {
    std::vector<std::string> entries;
    char* const* entry = own_ ? list_.data() : environ;
    for (; entry != nullptr && *entry != nullptr; ++entry)
        entries.emplace_back(*entry);
    return entries;
}

} // namespace keep::exec
