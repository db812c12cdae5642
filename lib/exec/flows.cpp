#include "lib/exec/flows.hpp"

#include <cerrno>
#include <cstdint>
#include <fcntl.h>
#include <new>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/exec/error_data.hpp"
#include "lib/exec/quiet_write.hpp"

namespace keep::exec {
namespace {

constexpr std::size_t chunk = 65536;            // a pipe's usual size
constexpr std::size_t large_chunk = 1 << 20;    // of a stream that has shown itself to be long
constexpr int large_pipe = 1 << 20;             // the most that any user may ask for (pipe-max-size)
constexpr int full_chunks_of_a_long_stream = 2; // an enlarged pipe is of a user's small allowance: not for each command
constexpr int most_chunks_at_once = 16;         // then the other streams have their turn

ssize_t append_read(int fd, std::string& text, std::size_t most) {
    ssize_t count = 0;
    const std::size_t before = text.size();
    text.resize_and_overwrite(before + most, [&](char* data, std::size_t) {
        count = ::read(fd, data + before, most);
        return before + static_cast<std::size_t>(count > 0 ? count : 0);
    });
    return count;
}

ssize_t append_read(int fd, Bytes& bytes, std::size_t most) {
    const std::span<char> room = bytes.room(most);
    const ssize_t count = ::read(fd, room.data(), most);
    if (count > 0) bytes.grow(static_cast<std::size_t>(count));
    return count;
}

// Memory that was never used is made present by one call instead of a fault for each page: a third of the time that
// capturing a gigabyte takes. Linux 5.14; elsewhere nothing happens.
void make_present(std::span<char> memory) {
    constexpr int populate_write = 23; // MADV_POPULATE_WRITE
    constexpr std::uintptr_t page = 4096;
    const auto begin = reinterpret_cast<std::uintptr_t>(memory.data());
    const std::uintptr_t first = (begin + page - 1) / page * page;
    const std::uintptr_t last = (begin + memory.size()) / page * page;
    if (last > first) ::madvise(reinterpret_cast<void*>(first), last - first, populate_write);
}

} // namespace

// ENOMEM where the sink finds no memory: an exception would have nobody to catch it in a thread.
ssize_t Outflow::read_some() try {
    const std::size_t most = is_long() ? large_chunk : chunk;
    if (into_->bytes != nullptr) {
        Bytes& bytes = *into_->bytes;
        if (is_long() && bytes.size() >= present_) {
            make_present(bytes.room(large_chunk).first(large_chunk));
            present_ = bytes.size() + large_chunk;
        }
        return append_read(fd_.get(), bytes, most);
    }
    if (into_->text != nullptr) return append_read(fd_.get(), *into_->text, most);
    if (buffer_.empty()) buffer_.resize(chunk);
    return ::read(fd_.get(), buffer_.data(), buffer_.size());
} catch (const std::bad_alloc&) {
    errno = ENOMEM;
    return -1;
}

bool Outflow::is_long() const {
    return full_chunks_ >= full_chunks_of_a_long_stream;
}

std::optional<Error> Outflow::deliver(std::size_t count) {
    const std::string_view got(buffer_.data(), count);
    if (into_->head_tail) {
        into_->head_tail->append(got);
    } else if (into_->write) {
        if (auto written = into_->write(got); !written) return written.error();
    }
    return std::nullopt;
}

std::optional<Error> Outflow::advance() {
    for (int turn = 0; turn < most_chunks_at_once && fd_; ++turn) {
        const ssize_t count = read_some();
        if (count < 0 && errno == EINTR) continue;
        if (count < 0 && errno == EAGAIN) return std::nullopt;
        if (count <= 0) {
            const int code = errno;
            end();
            if (count < 0) return call_error("read", "|0", code);
            return std::nullopt;
        }
        if (auto error = deliver(static_cast<std::size_t>(count))) {
            end();
            return error;
        }
        // Who fills a pipe again and again has more to say: fewer switches between the two of us.
        if (is_long() || count < static_cast<ssize_t>(chunk)) continue;
        ++full_chunks_;
        if (is_long()) ::fcntl(fd_.get(), F_SETPIPE_SZ, large_pipe); // refused beyond the quota: then it stays as it is
    }
    return std::nullopt;
}

std::optional<Error> Inflow::refill() {
    if (!from_->read) {
        pending_ = from_->text;
        drained_ = true;
        return std::nullopt;
    }
    if (buffer_.empty()) buffer_.resize(chunk);
    const auto count = from_->read(buffer_);
    if (!count) return count.error();
    pending_ = {buffer_.data(), *count};
    drained_ = *count == 0;
    return std::nullopt;
}

std::optional<Error> Inflow::advance() {
    for (int turn = 0; turn < most_chunks_at_once && fd_; ++turn) {
        if (pending_.empty() && !drained_) {
            if (auto error = refill()) {
                end();
                return error;
            }
        }
        if (pending_.empty()) {
            end(); // the command reads the end
            return std::nullopt;
        }
        const ssize_t count = write_quietly(fd_.get(), pending_.data(), pending_.size());
        if (count >= 0) {
            pending_.remove_prefix(static_cast<std::size_t>(count));
        } else if (errno == EAGAIN) {
            return std::nullopt;
        } else if (errno != EINTR) {
            const int code = errno;
            end();
            if (code == EPIPE) return std::nullopt;
            return call_error("write", "|1", code);
        }
    }
    return std::nullopt;
}

} // namespace keep::exec
