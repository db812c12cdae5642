#include "lib/exec/clone.hpp"

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <sched.h>
#include <sys/syscall.h>

namespace keep::exec {
namespace {

constexpr std::uint64_t clear_sighand = 0x100000000ULL; // 5.5
constexpr std::uint64_t into_cgroup = 0x200000000ULL;   // 5.7

std::uint64_t common_flags(const CloneRequest& request) {
    std::uint64_t flags = request.namespaces;
    if (request.share_memory) flags |= CLONE_VM;
    if (request.suspend) flags |= CLONE_VFORK;
    if (request.share_table) flags |= CLONE_FILES;
    if (request.with_pidfd) flags |= CLONE_PIDFD;
    return flags;
}

#if KEEP_EXEC_HAS_CLONE_STUBS
std::uint64_t address_of(const void* pointer) {
    return reinterpret_cast<std::uintptr_t>(pointer);
}
#endif

} // namespace

#if KEEP_EXEC_HAS_CLONE_STUBS

Cloned clone3(const CloneRequest& request, const ChildStack& stack, ChildEntry entry, void* argument) {
    Cloned child;
    clone_args args{};
    args.flags = common_flags(request) | clear_sighand;
    args.pidfd = request.with_pidfd ? address_of(&child.pidfd) : 0;
    args.exit_signal = SIGCHLD;
    args.stack = address_of(stack.lowest);
    args.stack_size = stack.size;
    std::size_t size = CLONE_ARGS_SIZE_VER0; // what 5.3 knows: a longer one would be E2BIG there
    if (request.cgroup_fd >= 0) {
        args.flags |= into_cgroup;
        args.cgroup = static_cast<std::uint64_t>(request.cgroup_fd);
        size = CLONE_ARGS_SIZE_VER2;
    }
    child.pid = static_cast<pid_t>(keep_exec_clone3(&args, size, entry, argument));
    return child;
}

Cloned clone_classic(const CloneRequest& request, const ChildStack& stack, ChildEntry entry, void* argument) {
    Cloned child;
    if ((request.namespaces & new_time) != 0) return {-EINVAL, -1};
    const unsigned long flags = common_flags(request) | SIGCHLD;
    child.pid = static_cast<pid_t>(keep_exec_clone(flags, stack.top(), &child.pidfd, entry, argument));
    return child;
}

#else // another architecture: libc knows how

Cloned clone3(const CloneRequest&, const ChildStack&, ChildEntry, void*) {
    return {-ENOSYS, -1};
}

Cloned clone_classic(const CloneRequest& request, const ChildStack& stack, ChildEntry entry, void* argument) {
    Cloned child;
    if ((request.namespaces & new_time) != 0) return {-EINVAL, -1};
    const auto flags = static_cast<int>(common_flags(request) | SIGCHLD);
    child.pid = ::clone(entry, stack.top(), flags, argument, &child.pidfd);
    if (child.pid < 0) child.pid = -errno;
    return child;
}

#endif

} // namespace keep::exec
