#include "lib/exec/quiet_write.hpp"

#include <cerrno>
#include <csignal>
#include <ctime>
#include <pthread.h>
#include <unistd.h>

namespace keep::exec {

ssize_t write_quietly(int fd, const char* bytes, std::size_t count) {
    sigset_t pipe_signal;
    sigset_t former;
    ::sigemptyset(&pipe_signal);
    ::sigaddset(&pipe_signal, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe_signal, &former);
    const bool blocked_before = ::sigismember(&former, SIGPIPE) == 1;
    bool pending_before = false;
    if (blocked_before) { // only then one can wait that is not ours
        sigset_t pending;
        ::sigpending(&pending);
        pending_before = ::sigismember(&pending, SIGPIPE) == 1;
    }
    const ssize_t written = ::write(fd, bytes, count);
    const int code = errno;
    if (written < 0 && code == EPIPE && !pending_before) {
        const timespec at_once{0, 0};
        while (::sigtimedwait(&pipe_signal, nullptr, &at_once) < 0 && errno == EINTR) {
        }
    }
    if (!blocked_before) ::pthread_sigmask(SIG_SETMASK, &former, nullptr);
    errno = code;
    return written;
}

} // namespace keep::exec
