#include <sched.h>

#include "lib/exec/child_steps.hpp"

namespace keep::exec::child {
namespace {

enum class When { at_exec, now };

bool is_kept(const ChildPlan& plan, int fd) {
    if (fd < 3) return true;
    for (std::size_t i = 0; i < plan.kept_count; ++i) {
        if (plan.kept[i] == fd) return true;
    }
    return false;
}

// Closes what /proc shows as open. For kernels, and seccomp filters, that refuse close_range.
void close_one_by_one(const ChildPlan& plan) {
    // getdents64(2): inode (8 bytes), offset (8), the entry's length (2), type (1), name, NUL.
    constexpr long length_at = 16;
    constexpr long name_at = 19;
    static constexpr char dir[] = "/proc/self/fd";
    const long list = open_file(dir, O_RDONLY | O_DIRECTORY);
    check(plan, Step::fds, list);
    alignas(8) char buffer[2048]; // NOLINT(modernize-avoid-c-arrays): not initialised, so no memset is called
    for (;;) {
        const long count = raw_syscall(SYS_getdents64, list, as_long(buffer), sizeof buffer);
        check(plan, Step::fds, count);
        if (count == 0) break;
        for (long at = 0; at < count;) {
            const char* name = buffer + at + name_at;
            at += *reinterpret_cast<const std::uint16_t*>(buffer + at + length_at);
            if (*name == '.') continue;
            int fd = 0;
            for (; *name != '\0'; ++name)
                fd = fd * 10 + (*name - '0');
            if (fd != list && !is_kept(plan, fd)) raw_syscall(SYS_close, fd);
        }
    }
    raw_syscall(SYS_close, list);
}

// Marking all for the exec to close is a stroke in a bitmap; closing now would visit each possible number (4 us against
// 1 us for a table of 256). Kernels before 5.11 cannot mark.
bool close_range(unsigned low, unsigned high, When when) {
    constexpr long close_on_exec = 4; // CLOSE_RANGE_CLOEXEC
    const long marked = raw_syscall(SYS_close_range, low, high, when == When::at_exec ? close_on_exec : 0);
    return marked == 0 || (marked == -EINVAL && raw_syscall(SYS_close_range, low, high, 0) == 0);
}

// The gaps between the kept numbers, and all above. The table is the child's own by now: closing disturbs nobody.
void close_all_others(const ChildPlan& plan, When when) {
    unsigned low = 3;
    for (std::size_t i = 0; i <= plan.kept_count; ++i) {
        const bool last = i == plan.kept_count;
        const unsigned next = last ? no_descriptor_above : static_cast<unsigned>(plan.kept[i]);
        const unsigned high = last ? no_descriptor_above : next - 1;
        if (last || next > low) {
            if (!close_range(low, high, when)) return close_one_by_one(plan);
        }
        low = next + 1;
    }
}

long move(int from, int to) {
    return from == to ? raw_syscall(SYS_fcntl, to, F_SETFD, 0) : raw_syscall(SYS_dup3, from, to, 0);
}

} // namespace

// The child is born with the parent's table (CLONE_FILES) and leaves it before it changes anything: its own has the
// numbers that it needs and none above. A copy of a thousand descriptors, each closed again by the exec, would cost as
// much as the whole spawn.
void leave_parents_table(const ChildPlan& plan) {
    constexpr long unshare = 2; // CLOSE_RANGE_UNSHARE, 5.9
    if (raw_syscall(SYS_close_range, plan.needed_below, no_descriptor_above, unshare) == 0) return;
    check(plan, Step::fds, raw_syscall(SYS_unshare, CLONE_FILES));
}

NullDevice open_null_device(const ChildPlan& plan) {
    static constexpr char path[] = "/dev/null";
    NullDevice opened;
    if ((plan.null_for & 1U) != 0) {
        opened.reading = open_file(path, O_RDONLY);
        check(plan, Step::fds, opened.reading);
    }
    if ((plan.null_for & ~1U) != 0) {
        opened.writing = open_file(path, O_WRONLY);
        check(plan, Step::fds, opened.writing);
    }
    return opened;
}

// First those that the child opened: their numbers may be targets of the others.
void place_descriptors(const ChildPlan& plan, const NullDevice& null_device) {
    for (int number = 0; number < 3; ++number) {
        if ((plan.null_for & 1U << number) == 0) continue;
        const long from = number == 0 ? null_device.reading : null_device.writing;
        check(plan, Step::fds, move(static_cast<int>(from), number));
    }
    for (std::size_t i = 0; i < plan.move_count; ++i)
        check(plan, Step::fds, move(plan.moves[i].from, plan.moves[i].to), i);
    for (int number = 0; number < 3; ++number) {
        if ((plan.closed & 1U << number) != 0) raw_syscall(SYS_close, number);
    }
    for (std::size_t i = 0; i < plan.unmark_count; ++i) {
        const long result = raw_syscall(SYS_fcntl, plan.unmark[i], F_SETFD, 0);
        if (result != -EBADF) check(plan, Step::fds, result);
    }
    if (plan.exec_fd >= 0) check(plan, Step::fds, raw_syscall(SYS_fcntl, plan.exec_fd, F_SETFD, FD_CLOEXEC));
    if (plan.close_others) close_all_others(plan, When::at_exec);
}

void close_others_now(const ChildPlan& plan) {
    if (plan.close_others) close_all_others(plan, When::now);
}

} // namespace keep::exec::child
