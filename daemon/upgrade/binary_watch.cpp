#include "daemon/upgrade/binary_watch.hpp"

#include <cerrno>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <sys/epoll.h>
#include <utility>

#include "daemon/upgrade/coming_to_rest.hpp"
#include "daemon/upgrade/path_trail.hpp"
#include "lib/sys/clock.hpp"
#include "lib/sys/inotify.hpp"

namespace keepd::upgrade {

namespace {

constexpr std::uint32_t of_itself = IN_DELETE_SELF | IN_MOVE_SELF;
constexpr std::uint32_t of_entries = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;
constexpr std::uint32_t of_the_file = IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB;

// A way that changes faster than it can be followed is followed again a moment later.
constexpr int most_attempts = 5;

class Watching final : public BinaryWatch {
  public:
    Watching(std::string path, const std::optional<core::FileIdentity>& known, Changed changed, Problem problem,
             keep::sys::Inotify inotify)
        : path_(std::move(path)), changed_(std::move(changed)), problem_(std::move(problem)),
          inotify_(std::move(inotify)), rest_(known) {}

    keep::Result<> start(systemd::Loop& loop) {
        auto source = loop.watch(inotify_.fd(), EPOLLIN, [this](std::uint32_t) { hear(); });
        if (!source) return std::unexpected(source.error());
        source_ = std::move(*source);
        auto timer = loop.timer([this] { look_again(); });
        if (!timer) return std::unexpected(timer.error());
        timer_ = std::move(*timer);
        look();
        return {};
    }

  private:
    struct Place {
        bool file = false;             // the file itself; else a directory
        std::set<std::string> entries; // that matter
    };

    void hear() {
        const auto events = inotify_.read();
        bool stirred = !events;
        for (const auto& event : events ? *events : std::vector<keep::sys::FileEvent>{})
            stirred |= matters(event);
        if (stirred) look();
    }

    bool matters(const keep::sys::FileEvent& event) {
        if ((event.mask & IN_Q_OVERFLOW) != 0) { // whatever was missed, a writer's end may be among it
            rest_.closed();
            return true;
        }
        const auto place = places_.find(event.watch);
        if (place == places_.end()) return false; // of a way that is not gone any more
        if (!place->second.file)
            return (event.mask & (of_itself | IN_IGNORED | IN_UNMOUNT)) != 0 ||
                   place->second.entries.contains(event.name);
        if ((event.mask & IN_MODIFY) != 0) rest_.written();
        if ((event.mask & IN_CLOSE_WRITE) != 0) rest_.closed();
        return true;
    }

    void look() {
        const bool followed = follow_the_way();
        auto at = rest_.stirred(trail_.file, keep::sys::monotonic_now());
        if (!at && !followed) at = keep::sys::monotonic_now() + ComingToRest::pause;
        (void)timer_.set_time(at);
    }

    void look_again() {
        const auto there = follow(path_).file;
        if (keep::sys::has_writer(trail_.end)) rest_.written(); // since before it was watched
        if (!rest_.still(there)) return look();
        const auto changed = changed_; // it may end this watch, and itself with it
        changed(*there);
    }

    // Until what is watched is the way as it is: what changes while the watches are set is seen by the next round.
    bool follow_the_way() {
        for (int attempt = 0; attempt < most_attempts; ++attempt) {
            Trail now = follow(path_);
            const bool same = watching_ && now.same_places(trail_);
            if (!watching_ || now.end != trail_.end || now.file.has_value() != trail_.file.has_value() ||
                (now.file && now.file->inode != trail_.file->inode))
                rest_.closed(); // of another file no writer is known
            trail_ = std::move(now);
            if (same) return true;
            set_watches();
            watching_ = true;
        }
        return false;
    }

    void set_watches() {
        for (const auto& [watch, place] : places_)
            (void)inotify_.remove(watch);
        places_.clear();
        for (const auto& directory : trail_.directories) {
            const auto mask = of_itself | (directory.entries.empty() ? 0 : of_entries);
            if (Place* place = add(directory.path, mask | IN_ONLYDIR, !directory.entries.empty()))
                place->entries.insert(directory.entries.begin(), directory.entries.end());
        }
        if (trail_.file)
            if (Place* place = add(trail_.end, of_the_file, true)) place->file = true;
    }

    Place* add(const std::string& path, std::uint32_t mask, bool needed) {
        const auto watch = inotify_.add(path, mask | IN_DONT_FOLLOW | IN_MASK_ADD);
        if (watch) return &places_[*watch];
        // What has just gone away is met by the next round; a directory that can't be read has no news of its own.
        const int code = watch.error().code;
        if (needed && code != ENOENT && code != ENOTDIR && told_.insert(path).second) problem_(watch.error().message);
        return nullptr;
    }

    std::string path_;
    Changed changed_;
    Problem problem_;
    keep::sys::Inotify inotify_;
    ComingToRest rest_;
    Trail trail_;
    bool watching_ = false;
    std::map<int, Place> places_; // by number of the watch
    std::set<std::string> told_;  // problems
    systemd::Source source_, timer_;
};

} // namespace

BinaryWatch::~BinaryWatch() = default;

keep::Result<std::unique_ptr<BinaryWatch>> BinaryWatch::begin(systemd::Loop& loop, const std::string& path,
                                                              const std::optional<core::FileIdentity>& known,
                                                              Changed changed, Problem problem) {
    auto inotify = keep::sys::Inotify::create();
    if (!inotify) return std::unexpected(inotify.error());
    auto watching =
        std::make_unique<Watching>(path, known, std::move(changed), std::move(problem), std::move(*inotify));
    if (auto started = watching->start(loop); !started) return std::unexpected(started.error());
    return watching;
}

} // namespace keepd::upgrade
