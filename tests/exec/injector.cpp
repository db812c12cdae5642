#include "tests/exec/injector.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <memory>
#include <poll.h>
#include <string>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include "tests/exec/injector_calls.hpp"

namespace keep::test {
namespace {

constexpr long mark_call = 0x6b70;          // no kernel has it
constexpr unsigned wait_killable = 1U << 5; // SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, 5.19: a signal repeats no call

// A mark is a meeting that the kernel arranges; this is how a sanitizer learns of it.
std::atomic<int> meetings = 0;

// The calling thread's calls are handed to the listener that is returned. -1 where that cannot be.
int install_filter() {
    std::vector<sock_filter> program{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
    const auto untouched = untouched_calls();
    for (std::size_t i = 0; i < untouched.size(); ++i) {
        const auto to_allow = static_cast<unsigned char>(untouched.size() - i);
        program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(untouched[i]), to_allow, 0));
    }
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF));
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
    const auto set = [&](unsigned flags) {
        return static_cast<int>(::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &filter));
    };
    const int listener = set(SECCOMP_FILTER_FLAG_NEW_LISTENER | wait_killable);
    return listener >= 0 || errno != EINVAL ? listener : set(SECCOMP_FILTER_FLAG_NEW_LISTENER);
}

// Whether no signal but SIGKILL and SIGSTOP can reach it: the line "SigBlk:" of /proc/PID/status.
bool has_all_blocked(pid_t thread) {
    constexpr std::uint64_t never = 1ULL << (SIGKILL - 1) | 1ULL << (SIGSTOP - 1);
    std::ifstream file("/proc/" + std::to_string(thread) + "/status");
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("SigBlk:")) return (std::stoull(line.substr(7), nullptr, 16) | never) == ~0ULL;
    }
    return false;
}

// The flags of /proc/PID/stat (the 9th field, behind the name in parentheses).
unsigned long task_flags(pid_t thread) {
    std::ifstream file("/proc/" + std::to_string(thread) + "/stat");
    std::string text{std::istreambuf_iterator<char>(file), {}};
    const std::size_t name_end = text.rfind(')');
    if (name_end == std::string::npos) return 0;
    std::size_t at = name_end + 1;
    for (int field = 3; field < 9 && at != std::string::npos; ++field)
        at = text.find(' ', at + 1);
    return at == std::string::npos ? 0 : std::strtoul(text.c_str() + at, nullptr, 10);
}

} // namespace

// A notification, in as much memory as this kernel writes.
struct Injector::Call {
    Call() {
        seccomp_notif_sizes sizes{};
        ::syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes);
        memory.resize(std::max<std::size_t>(sizes.seccomp_notif, sizeof(seccomp_notif)) / sizeof(std::uint64_t) + 1);
    }
    seccomp_notif& operator*() { return *reinterpret_cast<seccomp_notif*>(memory.data()); }
    const seccomp_notif& operator*() const { return *reinterpret_cast<const seccomp_notif*>(memory.data()); }
    const seccomp_notif* operator->() const { return &**this; }
    std::vector<std::uint64_t> memory;
};

Injector::Injector(std::function<void()> body) {
    constexpr int unknown = -2;
    const auto listener = std::make_shared<std::atomic<int>>(unknown);
    (void)untouched_calls(); // its memory is not to be asked for by a thread that waits for its supervisor
    thread_ = std::thread([listener, body = std::move(body)] {
        const int made = install_filter();
        listener->store(made);
        listener->notify_one();
        if (made >= 0) body();
    });
    listener->wait(unknown);
    listener_ = Fd::adopt(listener->load());
}

Injector::~Injector() {
    if (supported()) {
        (void)listener_.release(); // closed, it would have all further calls refused
        thread_.detach();
    } else {
        thread_.join();
    }
}

void Injector::mark() {
    meetings.fetch_add(1);
    ::syscall(mark_call);
    meetings.fetch_add(1);
}

void Injector::go_on(const Fault& fault, Injected& injected) {
    Call call;
    meetings.fetch_add(1);
    if (marked_ != 0) {
        (*call).id = std::exchange(marked_, 0);
        (*call).data.nr = static_cast<int>(mark_call);
        answer(call, 0);
    }
    while (receive(call)) {
        if (call->data.nr == mark_call) {
            marked_ = call->id;
            body_ = static_cast<pid_t>(call->pid);
            meetings.fetch_add(1);
            return;
        }
        decide(call, fault, injected);
    }
}

void Injector::let_others_go_on() {
    pollfd waiting{listener_.get(), POLLIN, 0};
    Injected ignored;
    for (Call call; ::poll(&waiting, 1, 0) > 0 && (waiting.revents & POLLIN) != 0 && receive(call);)
        decide(call, {}, ignored);
}

// False when no task has the filter any more.
bool Injector::receive(Call& call) {
    for (;;) {
        pollfd waiting{listener_.get(), POLLIN, 0};
        if (::poll(&waiting, 1, -1) < 0) continue;
        if ((waiting.revents & POLLIN) == 0) return false;
        std::ranges::fill(call.memory, 0);
        if (::ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_RECV, &*call) == 0) return true;
    } // ENOENT: killed before we came to it
}

// code 0: the call is carried out, but for a mark, which is done.
void Injector::answer(const Call& call, int code) {
    seccomp_notif_resp response{};
    response.id = call->id;
    response.error = -code;
    if (code == 0 && call->data.nr != mark_call) response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    ::ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_SEND, &response);
}

void Injector::decide(const Call& call, const Fault& fault, Injected& injected) {
    const long number = call->data.nr;
    const auto thread = static_cast<pid_t>(call->pid);
    if (is_program(thread)) return answer(call, 0);
    if (fault.refuse_clone3 && number == SYS_clone3) return answer(call, ENOSYS);
    const Caller caller = caller_of(thread);
    if (caller != fault.caller || !may_answer(call->data, fault.code)) return answer(call, 0);
    // close(2) is interrupted only once the descriptor is gone: we share the table, and do that. A child has its own.
    const bool is_close = number == SYS_close;
    if (is_close && caller == Caller::child) return answer(call, 0);
    if (++injected.count != fault.at) return answer(call, 0);
    injected.call = number;
    injected.blocked = has_all_blocked(thread);
    if (is_close) ::close(static_cast<int>(call->data.args[0]));
    answer(call, fault.code);
}

Caller Injector::caller_of(pid_t thread) {
    if (thread == body_) return Caller::body;
    if (own_threads_.contains(thread)) return Caller::thread;
    if (::access(("/proc/self/task/" + std::to_string(thread)).c_str(), F_OK) != 0) return Caller::child;
    own_threads_.insert(thread);
    return Caller::thread;
}

// A task that has executed nothing since it was cloned has a flag; all threads of a forked process like ours have it.
bool Injector::is_program(pid_t thread) {
    constexpr unsigned long forked_only = 0x40; // PF_FORKNOEXEC
    if (thread == body_ || own_threads_.contains(thread)) return false;
    if (programs_.contains(thread)) return true;
    const bool program = (task_flags(thread) & forked_only) == 0;
    if (program) programs_.insert(thread);
    return program;
}

} // namespace keep::test
