#include "lib/exec/environment.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <sys/stat.h>
#include <unistd.h>

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

// A set of texts that is only added to: a flat table, no allocation for each.
class Seen {
  public:
    explicit Seen(std::size_t most) {
        std::size_t size = 16;
        while (size < 2 * most)
            size *= 2;
        table_.resize(size);
    }
    // Whether it is new.
    bool add(std::string_view text) {
        std::size_t at = std::hash<std::string_view>{}(text) & (table_.size() - 1);
        while (table_[at].data() != nullptr) {
            if (table_[at] == text) return false;
            at = (at + 1) & (table_.size() - 1);
        }
        table_[at] = text.data() != nullptr ? text : std::string_view("");
        return true;
    }

  private:
    std::vector<std::string_view> table_;
};

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
    if (config.env) {
        own_ = true;
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
            own_ = true;
            const std::string directory = absolute(config.dir);
            if (directory.empty()) return failed(call_error("getwd", "", errno));
            pwd_ = "PWD=" + directory;
            list_.push_back(pwd_.data());
        }
    }
    keep_last_of_each();
    list_.push_back(nullptr);
    return {};
}

void Environment::keep_last_of_each() {
    const std::size_t given = list_.size();
    Seen seen(given);
    const auto is_dropped = [&](const char* text) {
        const std::string_view entry = text;
        if (entry.empty()) return true;
        const auto key = key_of(entry);
        return key && !seen.add(*key);
    };
    std::ranges::reverse(list_);
    std::erase_if(list_, is_dropped);
    std::ranges::reverse(list_);
    if (list_.size() != given) own_ = true;
}

std::vector<std::string> Environment::copy() const {
    std::vector<std::string> entries;
    for (const char* entry : list_) {
        if (entry != nullptr) entries.emplace_back(entry);
    }
    return entries;
}

} // namespace keep::exec
