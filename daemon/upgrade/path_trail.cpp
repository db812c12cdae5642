#include "daemon/upgrade/path_trail.hpp"

#include <algorithm>
#include <deque>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/upgrade/file_identity.hpp"

namespace keepd::upgrade {

namespace {

constexpr int most_symlinks = 40; // as the kernel's

std::deque<std::string> parts_of(const std::string& path) {
    std::deque<std::string> parts;
    for (std::size_t begin = 0; begin < path.size();) {
        const std::size_t end = std::min(path.find('/', begin), path.size());
        if (end > begin) parts.push_back(path.substr(begin, end - begin));
        begin = end + 1;
    }
    return parts;
}

std::string below(const std::string& directory, const std::string& entry) {
    return (directory == "/" ? "" : directory) + "/" + entry;
}

class Walk {
  public:
    Trail along(const std::string& path) {
        todo_ = parts_of(path);
        enter("/");
        while (!todo_.empty() && next()) {
        }
        return std::move(trail_);
    }

  private:
    void enter(const std::string& directory) {
        here_ = directory;
        if (std::ranges::find(trail_.directories, here_, &Trail::Directory::path) != trail_.directories.end()) return;
        struct stat info{};
        (void)lstat(here_.c_str(), &info); // gone again: nothing will match, and the next look finds out
        trail_.directories.push_back({here_, info.st_dev, info.st_ino, {}});
    }

    void mind(const std::string& entry) {
        std::ranges::find(trail_.directories, here_, &Trail::Directory::path)->entries.insert(entry);
    }

    // One step; false: the way ends here.
    bool next() {
        const std::string entry = std::move(todo_.front());
        todo_.pop_front();
        if (entry == ".") return true;
        if (entry == "..") {
            const auto slash = here_.rfind('/');
            enter(slash == 0 ? "/" : here_.substr(0, slash));
            return true;
        }
        const std::string path = below(here_, entry);
        struct stat info{};
        const bool there = lstat(path.c_str(), &info) == 0;
        if (there && S_ISDIR(info.st_mode) && !todo_.empty()) {
            enter(path);
            return true;
        }
        mind(entry);
        if (!there) return false;
        if (S_ISLNK(info.st_mode)) return turn_off(path);
        if (!S_ISREG(info.st_mode) || !todo_.empty()) return false;
        trail_.end = path;
        trail_.file = identity_of(info);
        return false;
    }

    bool turn_off(const std::string& link) {
        if (++symlinks_ > most_symlinks) return false;
        std::string target(4096, '\0');
        const auto length = readlink(link.c_str(), target.data(), target.size());
        if (length <= 0) return false;
        target.resize(static_cast<std::size_t>(length));
        if (target.front() == '/') enter("/");
        auto parts = parts_of(target);
        todo_.insert(todo_.begin(), parts.begin(), parts.end());
        return true;
    }

    Trail trail_;
    std::deque<std::string> todo_;
    std::string here_;
    int symlinks_ = 0;
};

} // namespace

bool Trail::same_places(const Trail& other) const {
    const auto inode = [](const Trail& trail) { return trail.file ? trail.file->inode : 0; };
    return directories == other.directories && end == other.end && inode(*this) == inode(other);
}

Trail follow(const std::string& path) {
    return Walk().along(path);
}

} // namespace keepd::upgrade
