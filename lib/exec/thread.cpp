#include "lib/exec/thread.hpp"

#include <csignal>
#include <pthread.h>
#include <system_error>

#include "lib/exec/error_data.hpp"
#include "lib/exec/hold_off.hpp"

namespace keep::exec {
namespace {

// A thread inherits the mask of its maker.
class SignalsBlocked {
  public:
    SignalsBlocked() {
        sigset_t all;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &former_);
    }
    ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &former_, nullptr); }
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;

  private:
    sigset_t former_{};
};

} // namespace

Result<std::thread> make_thread(std::function<void()> body) {
    const Starting now;
    const SignalsBlocked quiet;
    try {
        return std::thread(std::move(body));
    } catch (const std::system_error& error) {
        return failed(call_error("thread", "", error.code()));
    }
}

bool start_thread(std::function<void()> body) {
    auto thread = make_thread(std::move(body));
    if (!thread) return false;
    thread->detach();
    return true;
}

} // namespace keep::exec
