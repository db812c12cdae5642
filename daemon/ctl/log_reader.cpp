#include "daemon/ctl/log_reader.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace keepd::ctl {
namespace {

using keep::Result;
using keep::sys::Fd;

constexpr std::size_t block = std::size_t{64} << 10;

struct OpenFile {
    Fd fd;
    std::uint64_t size = 0;
    keep::sys::FdIdentity identity;
};

// Nothing: there is no such file.
Result<std::optional<OpenFile>> open_file(const std::string& path) {
    auto fd = keep::sys::open(path, O_RDONLY | O_NONBLOCK);
    if (!fd) {
        if (fd.error().code == ENOENT) return std::optional<OpenFile>{};
        return std::unexpected(fd.error());
    }
    struct stat about{};
    if (::fstat(fd->get(), &about) != 0) return keep::fail_errno("look at", path, errno);
    if (!S_ISREG(about.st_mode)) return keep::fail("read '" + path + "': not a regular file");
    const auto identity = keep::sys::identify(fd->get());
    if (!identity) return std::unexpected(identity.error());
    return OpenFile{std::move(*fd), static_cast<std::uint64_t>(about.st_size), *identity};
}

// The live file and its predecessors, newest first, as they were at one moment: if a rotation came in between, the
// names have moved and some file would be there twice or not at all.
Result<std::vector<OpenFile>> open_all(const std::string& path, std::uint32_t max_files, bool only_newest) {
    for (;;) {
        std::vector<OpenFile> files;
        for (std::uint32_t number = 0; number < (only_newest ? 1 : max_files); ++number) {
            auto file = open_file(number == 0 ? path : path + "." + std::to_string(number));
            if (!file) return std::unexpected(file.error());
            if (*file) {
                files.push_back(std::move(**file));
            } else if (number > 0) {
                break;
            }
        }
        const auto again = open_file(path);
        if (!again) return std::unexpected(again.error());
        const bool was_there = !files.empty();
        if (!*again) return files; // between the two halves of a rotation, or never there: the rest is complete
        if (was_there && files.front().identity == (*again)->identity) return files;
    }
}

Result<std::size_t> read_at(int fd, char* buffer, std::size_t size, std::uint64_t offset) {
    for (;;) {
        const ssize_t count = ::pread(fd, buffer, size, static_cast<off_t>(offset));
        if (count >= 0) return static_cast<std::size_t>(count);
        if (errno != EINTR) return keep::fail_errno("read a log file", {}, errno);
    }
}

// Counts line ends backwards over several files, as if they were one.
class Backwards {
  public:
    explicit Backwards(std::size_t lines) : wanted_(lines) {}

    // Where the last wanted line begins in this file; nothing: before it. To be called for the newest file first.
    Result<std::optional<std::uint64_t>> begin_in(const OpenFile& file) {
        std::vector<char> buffer(block);
        for (std::uint64_t end = file.size; end > 0;) {
            const std::size_t size = static_cast<std::size_t>(std::min<std::uint64_t>(block, end));
            const auto got = read_at(file.fd.get(), buffer.data(), size, end - size);
            if (!got) return std::unexpected(got.error());
            for (std::size_t i = *got; i-- > 0;) {
                // The very last byte ends the last line; each other line end is the beginning of a line.
                const bool is_end = buffer[i] == '\n' && !std::exchange(at_last_byte_, false);
                at_last_byte_ = false;
                if (is_end && ++seen_ == wanted_) return std::optional(end - size + i + 1);
            }
            end -= size;
        }
        return std::optional<std::uint64_t>{};
    }

  private:
    std::size_t wanted_;
    std::size_t seen_ = 0;
    bool at_last_byte_ = true;
};

Result<> copy(const OpenFile& file, std::uint64_t from, const LogReader::Sink& sink) {
    std::vector<char> buffer(block);
    while (from < file.size) {
        const std::size_t size = static_cast<std::size_t>(std::min<std::uint64_t>(block, file.size - from));
        const auto got = read_at(file.fd.get(), buffer.data(), size, from);
        if (!got) return std::unexpected(got.error());
        if (*got == 0) break; // truncated meanwhile
        sink(std::string_view(buffer.data(), *got));
        from += *got;
    }
    return {};
}

} // namespace

Result<> LogReader::tail(std::optional<std::size_t> lines, const Sink& sink) {
    auto files = open_all(path_, max_files_, lines == std::size_t{0});
    if (!files) return std::unexpected(files.error());
    // From the newest back to the file that the first wanted line is in; from there on everything is shown.
    std::size_t oldest = files->size();
    std::uint64_t begin = 0;
    if (lines == std::size_t{0}) {
        oldest = 0;
    } else if (lines) {
        Backwards backwards(*lines);
        for (std::size_t i = 0; i < files->size(); ++i) {
            const auto found = backwards.begin_in((*files)[i]);
            if (!found) return std::unexpected(found.error());
            if (!*found) continue;
            begin = **found;
            oldest = i + 1;
            break;
        }
    }
    for (std::size_t i = oldest; i-- > 0;) {
        if (auto copied = copy((*files)[i], i + 1 == oldest ? begin : 0, sink); !copied) return copied;
    }
    if (!files->empty()) {
        position_ = files->front().size;
        file_ = std::move(files->front().fd);
    }
    return {};
}

Result<> LogReader::more(const Sink& sink) {
    if (file_) {
        struct stat about{};
        if (::fstat(file_.get(), &about) == 0 && static_cast<std::uint64_t>(about.st_size) < position_) position_ = 0;
        if (auto read = read_to_end(sink); !read) return read;
    }
    return read_newer_files(sink);
}

Result<> LogReader::read_to_end(const Sink& sink) {
    std::vector<char> buffer(block);
    for (;;) {
        const auto got = read_at(file_.get(), buffer.data(), buffer.size(), position_);
        if (!got) return std::unexpected(got.error());
        if (*got == 0) return {};
        sink(std::string_view(buffer.data(), *got));
        position_ += *got;
    }
}

Result<> LogReader::read_newer_files(const Sink& sink) {
    std::optional<keep::sys::FdIdentity> mine;
    if (file_) {
        const auto identity = keep::sys::identify(file_.get());
        if (!identity) return std::unexpected(identity.error());
        mine = *identity;
    }
    auto files = open_all(path_, max_files_, !mine);
    if (!files) return std::unexpected(files.error());
    std::size_t newer = 0;
    while (newer < files->size() && (*files)[newer].identity != mine)
        ++newer;
    if (newer == 0) return {};
    // Before it was renamed it may have got a last line that we have not read.
    if (file_) {
        if (auto read = read_to_end(sink); !read) return read;
    }
    for (std::size_t i = newer; i-- > 0;) {
        file_ = std::move((*files)[i].fd);
        position_ = 0;
        if (auto read = read_to_end(sink); !read) return read;
    }
    return {};
}

} // namespace keepd::ctl
