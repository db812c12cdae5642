#include <cstdint>
#include <doctest/doctest.h>

#include <csignal>
#include <fcntl.h>
#include <unistd.h>

#include "lib/sys/signals.hpp"

using namespace keep;

namespace {

// Puts the mask and one disposition back, whatever a test did.
class SignalsAsBefore {
  public:
    explicit SignalsAsBefore(int signal) : signal_(signal), mask_(sys::current_mask()) {
        ::sigaction(signal, nullptr, &action_);
    }
    ~SignalsAsBefore() {
        ::sigaction(signal_, &action_, nullptr);
        (void)sys::set_mask(mask_);
    }
    SignalsAsBefore(const SignalsAsBefore&) = delete;
    SignalsAsBefore& operator=(const SignalsAsBefore&) = delete;

  private:
    int signal_;
    sigset_t mask_;
    struct sigaction action_{};
};

} // namespace

TEST_CASE("blocking all yields the former mask, and setting that restores it") {
    const SignalsAsBefore restore(SIGUSR1);
    REQUIRE(sys::set_mask(sys::signal_set({SIGUSR2})));
    const auto former = sys::block_all();
    REQUIRE(former);
    CHECK(::sigismember(&*former, SIGUSR2) == 1);
    CHECK(::sigismember(&*former, SIGUSR1) == 0);
    const sigset_t blocked = sys::current_mask();
    CHECK(::sigismember(&blocked, SIGUSR1) == 1);
    CHECK(::sigismember(&blocked, SIGTERM) == 1);
    REQUIRE(sys::set_mask(*former));
    const sigset_t restored = sys::current_mask();
    CHECK(::sigismember(&restored, SIGUSR1) == 0);
    CHECK(::sigismember(&restored, SIGUSR2) == 1);
}

TEST_CASE("a signalfd yields each pending signal once, then nothing") {
    const SignalsAsBefore restore(SIGUSR1);
    REQUIRE(sys::block(sys::signal_set({SIGUSR1, SIGUSR2})));
    auto fd = sys::signal_fd(sys::signal_set({SIGUSR1, SIGUSR2}));
    REQUIRE(fd);
    CHECK((::fcntl(fd->get(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK_FALSE(sys::read_signal(fd->get())->has_value());
    ::raise(SIGUSR2);
    const auto info = sys::read_signal(fd->get());
    REQUIRE((info && *info));
    CHECK((*info)->ssi_signo == SIGUSR2);
    CHECK((*info)->ssi_pid == static_cast<std::uint32_t>(::getpid()));
    CHECK_FALSE(sys::read_signal(fd->get())->has_value());
}

TEST_CASE("reading what is no signalfd is an error, not nothing") {
    CHECK_FALSE(sys::read_signal(-1));
}

TEST_CASE("ignored signals get their default back, handled ones stay handled") {
    const SignalsAsBefore restore_pipe(SIGPIPE);
    const SignalsAsBefore restore_user(SIGUSR1);
    REQUIRE(sys::ignore_signal(SIGPIPE));
    ::signal(SIGUSR1, [](int) {});
    CHECK(sys::reset_ignored_signals() >= 1);
    struct sigaction now{};
    ::sigaction(SIGPIPE, nullptr, &now);
    CHECK((now.sa_handler == SIG_DFL));
    ::sigaction(SIGUSR1, nullptr, &now);
    CHECK((now.sa_handler != SIG_DFL));
    CHECK(sys::reset_ignored_signals() == 0);
    CHECK_FALSE(sys::ignore_signal(SIGKILL));
}

TEST_CASE("what is ignored is known at once after each change") {
    const SignalsAsBefore restore(SIGUSR1);
    const std::uint64_t bit = std::uint64_t{1} << (SIGUSR1 - 1);
    CHECK((sys::ignored_signals() & bit) == 0);
    REQUIRE(sys::ignore_signal(SIGUSR1));
    CHECK((sys::ignored_signals() & bit) != 0);
    REQUIRE(sys::default_signal(SIGUSR1));
    CHECK((sys::ignored_signals() & bit) == 0);
    ::signal(SIGUSR1, SIG_IGN); // past lib/sys
    CHECK((sys::ignored_signals() & bit) != 0);
    CHECK(sys::reset_ignored_signals() >= 1);
    CHECK(sys::ignored_signals() == 0);
}
