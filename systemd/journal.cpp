#include "systemd/journal.hpp"

#include <bit>
#include <cerrno>
#include <cstdint>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <systemd/sd-journal.h>

#include "lib/sys/fd.hpp"

namespace keepd::systemd {

namespace {

constexpr sockaddr_un address{AF_UNIX, "/run/systemd/journal/socket"};
constexpr timeval patience{0, 100'000};
constexpr int wanted_buffer = 8 << 20; // as libsystemd has it

// The record as journald's native protocol has it: NAME=value, or, where the value has several lines, NAME and the
// length and bytes of the value.
std::string in_native_form(const std::vector<std::string>& assignments) {
    std::string text;
    for (const auto& assignment : assignments) {
        if (assignment.find('\n') == std::string::npos) {
            text += assignment + '\n';
            continue;
        }
        const auto equals = assignment.find('=');
        std::uint64_t size = assignment.size() - equals - 1;
        if constexpr (std::endian::native == std::endian::big) size = __builtin_bswap64(size);
        text += assignment.substr(0, equals) + '\n';
        text.append(reinterpret_cast<const char*>(&size), sizeof size);
        text += assignment.substr(equals + 1) + '\n';
    }
    return text;
}

// Not sd_journal_send(): it waits without end for a journald that hangs, and keepd's main thread must not hang with it.
class Sender {
  public:
    int descriptor() const { return socket_.get(); }

    // 0 or errno. Waits for a journald that has just begun to hang, and not again until it takes something.
    int send(const std::string& record) {
        if (!socket_) open();
        for (;;) {
            const int flags = MSG_NOSIGNAL | (hangs_ ? MSG_DONTWAIT : 0);
            const auto sent = sendto(socket_.get(), record.data(), record.size(), flags,
                                     reinterpret_cast<const sockaddr*>(&address), sizeof address);
            const int code = sent < 0 ? errno : 0;
            if (code == EINTR) continue;
            hangs_ = code == EAGAIN;
            return code;
        }
    }

  private:
    void open() {
        socket_ = keep::sys::Fd::adopt(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        (void)setsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
        if (setsockopt(socket_.get(), SOL_SOCKET, SO_SNDBUFFORCE, &wanted_buffer, sizeof wanted_buffer) != 0)
            (void)setsockopt(socket_.get(), SOL_SOCKET, SO_SNDBUF, &wanted_buffer, sizeof wanted_buffer);
    }

    keep::sys::Fd socket_;
    bool hangs_ = false;
};

Sender& sender() {
    static Sender one; // for the process's life, as libsystemd's own
    return one;
}

} // namespace

bool journal_send(int priority, std::string_view message, const JournalFields& fields) {
    std::vector<std::string> lines;
    lines.reserve(fields.size() + 3);
    lines.push_back("MESSAGE=" + std::string(message));
    lines.push_back("PRIORITY=" + std::to_string(priority));
    lines.emplace_back("SYSLOG_IDENTIFIER=keepd");
    for (const auto& [name, value] : fields)
        lines.push_back(std::string(name) + "=" + value);
    const int code = sender().send(in_native_form(lines));
    if (code != EMSGSIZE) return code == 0;
    // More than a datagram takes goes by a memfd, which libsystemd knows how to do.
    std::vector<iovec> vectors;
    vectors.reserve(lines.size());
    for (auto& line : lines)
        vectors.push_back({line.data(), line.size()});
    return sd_journal_sendv(vectors.data(), static_cast<int>(vectors.size())) >= 0;
}

int journal_descriptor() {
    return sender().descriptor();
}

} // namespace keepd::systemd
