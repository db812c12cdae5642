#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>

#include "lib/exec/child_steps.hpp"

namespace keep::exec::child {
namespace {

#ifdef SYS_setgroups32 // architectures that began with 16-bit ids
constexpr long set_groups = SYS_setgroups32;
constexpr long set_gid = SYS_setresgid32;
constexpr long set_uid = SYS_setresuid32;
#else
constexpr long set_groups = SYS_setgroups;
constexpr long set_gid = SYS_setresgid;
constexpr long set_uid = SYS_setresuid;
#endif

} // namespace

// The parent, which has rights outside of the new user namespace, writes the maps meanwhile.
void await_id_maps(const ChildPlan& plan) {
    volatile int verdict = EPIPE; // the parent is gone
    const long count = raw_syscall(SYS_read, plan.handshake_fd, as_long(&verdict), sizeof verdict);
    check(plan, Step::id_maps, count);
    if (verdict != 0) give_up(plan, Step::id_maps, -verdict);
}

void enter_namespaces(const ChildPlan& plan) {
    check(plan, Step::unshare, raw_syscall(SYS_unshare, plan.unshare_flags));
    static constexpr char uid_map[] = "/proc/self/uid_map";
    static constexpr char setgroups[] = "/proc/self/setgroups";
    static constexpr char gid_map[] = "/proc/self/gid_map";
    if (plan.uid_map.text != nullptr) write_file(plan, Step::id_maps, uid_map, plan.uid_map);
    if (plan.setgroups.text != nullptr) write_file(plan, Step::id_maps, setgroups, plan.setgroups);
    if (plan.gid_map.text != nullptr) write_file(plan, Step::id_maps, gid_map, plan.gid_map);
    if (plan.private_mounts) {
        static constexpr char none[] = "none";
        static constexpr char root[] = "/";
        check(plan, Step::private_mounts,
              raw_syscall(SYS_mount, as_long(none), as_long(root), 0, MS_REC | MS_PRIVATE, 0));
    }
}

// Until a number is none: the kernel's last capability.
void shrink_bounding_set(const ChildPlan& plan) {
    for (unsigned capability = 0; capability < 64; ++capability) {
        if ((*plan.bounding_set & std::uint64_t{1} << capability) != 0) continue;
        const long result = raw_syscall(SYS_prctl, PR_CAPBSET_DROP, capability, 0, 0, 0);
        if (result == -EINVAL) return;
        check(plan, Step::bounding_set, result, capability);
    }
}

// Groups first, the user last: each needs the privilege that the user id carries.
void change_credential(const ChildPlan& plan) {
    const auto gid = static_cast<long>(plan.credential->gid);
    const auto uid = static_cast<long>(plan.credential->uid);
    if (plan.set_groups) {
        const auto group_count = static_cast<long>(plan.group_count);
        check(plan, Step::groups, raw_syscall(set_groups, group_count, as_long(plan.groups)));
    }
    check(plan, Step::gid, raw_syscall(set_gid, gid, gid, gid));
    check(plan, Step::uid, raw_syscall(set_uid, uid, uid, uid));
}

// An ambient capability has to be permitted and inheritable; PR_SET_KEEPCAPS has carried the permitted ones over the
// change of the user. capabilities(7).
void raise_ambient_capabilities(const ChildPlan& plan) {
    constexpr auto step = Step::ambient_capabilities;
    volatile __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    volatile __user_cap_data_struct sets[2] = {{0, 0, 0}, {0, 0, 0}}; // NOLINT(modernize-avoid-c-arrays)
    check(plan, step, raw_syscall(SYS_capget, as_long(&header), as_long(sets)));
    for (std::size_t i = 0; i < plan.ambient_count; ++i) {
        const auto capability = static_cast<unsigned>(plan.ambient_caps[i]);
        if (capability > 63) give_up(plan, step, -EINVAL, i);
        volatile __user_cap_data_struct& set = sets[capability / 32];
        set.permitted = set.permitted | 1U << capability % 32;
        set.inheritable = set.inheritable | 1U << capability % 32;
    }
    check(plan, step, raw_syscall(SYS_capset, as_long(&header), as_long(sets)));
    for (std::size_t i = 0; i < plan.ambient_count; ++i) {
        check(plan, step, raw_syscall(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, plan.ambient_caps[i], 0, 0), i);
    }
}

} // namespace keep::exec::child
