// Namespaces that a child is born in, or makes for itself.
#include <cerrno>
#include <filesystem>
#include <sched.h>
#include <sstream>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/exec/attributes.hpp"
#include "tests/lib/temporary_directory.hpp"

using namespace keep;
using namespace keep::test;
using exec::Step;

namespace {

constexpr std::uint64_t new_time = 0x80; // CLONE_NEWTIME

exec::SpawnSpec program() {
    exec::SpawnSpec spec;
    spec.path = "/bin/true";
    return spec;
}

// A child that is root inside, as the user `host` outside.
void map_root_to(exec::SpawnSpec& spec, unsigned host) {
    spec.sys.uid_mappings = {{0, host, 1}};
    spec.sys.gid_mappings = {{0, host, 1}};
}

// The words of a text with one space between.
std::string words(const std::string& text) {
    std::istringstream in(text);
    std::string joined;
    for (std::string word; in >> word;)
        joined += (joined.empty() ? "" : " ") + word;
    return joined;
}

std::string outcome_for_stranger(const exec::SpawnSpec& spec) {
    const std::string said = in_fork([&] {
                                 become_stranger();
                                 say(outcome_of(spec));
                             }).output;
    return said.substr(0, said.find('\n'));
}

// Distributions may forbid them to ordinary users.
bool strangers_may_have_user_namespaces() {
    exec::SpawnSpec spec = program();
    spec.sys.clone_flags = CLONE_NEWUSER;
    map_root_to(spec, stranger);
    if (outcome_for_stranger(spec) == "started") return true;
    MESSAGE("skipped: ordinary users may have no user namespaces here");
    return false;
}

} // namespace

EXEC_TEST("[go:125] the parent writes the maps of a new user namespace before the child goes on") {
    if (!is_root()) return;
    exec::SpawnSpec spec = attributes_spec();
    spec.sys.clone_flags = CLONE_NEWUSER;
    spec.sys.uid_mappings = {{0, 0, 1}, {1, 100000, 1000}}; // nobody inside may write two ranges
    spec.sys.gid_mappings = {{0, 0, 1}, {1, 200000, 1000}};
    spec.sys.gid_mappings_enable_setgroups = true;
    spec.sys.credential = exec::Credential{0, 0, {7}}; // there is no such id before the maps are
    const Report report = report_of(spec);
    CHECK(report.at("Uid") == "0\t0\t0\t0");
    CHECK(report.at("Groups") == "7 ");
    CHECK(report.at("setgroups") == "allow");
    CHECK(words(report.at("uid map")) == "0 0 1");
    spec.argv = {"", "cat", "/proc/self/uid_map"};
    CHECK(words(run(spec).output) == "0 0 1 1 100000 1000");
    spec.argv = {"", "cat", "/proc/self/gid_map"};
    CHECK(words(run(spec).output) == "0 0 1 1 200000 1000");
}

EXEC_TEST("[go:125] setgroups is denied in a new user namespace unless it is enabled") {
    if (!is_root()) return;
    exec::SpawnSpec spec = attributes_spec();
    spec.sys.clone_flags = CLONE_NEWUSER;
    map_root_to(spec, 0);
    CHECK(report_of(spec).at("setgroups") == "deny");
    spec.sys.gid_mappings_enable_setgroups = true;
    CHECK(report_of(spec).at("setgroups") == "allow");
}

EXEC_TEST("[go:125] without maps the child is nobody in its user namespace") {
    if (!is_root()) return;
    exec::SpawnSpec spec = attributes_spec();
    spec.sys.clone_flags = CLONE_NEWUSER;
    CHECK(report_of(spec).at("Uid") == "65534\t65534\t65534\t65534");
}

EXEC_TEST("[go:125] maps that the kernel refuses are the failure of a step of their own") {
    if (!is_root()) return;
    exec::SpawnSpec spec = program();
    spec.sys.clone_flags = CLONE_NEWUSER;
    spec.sys.uid_mappings = {{0, 0, 10}, {5, 100, 10}}; // overlapping
    check_fails(spec, Step::id_maps, EINVAL);
    spec.sys.uid_mappings = {{0, 0, 1}};
    spec.sys.gid_mappings = {{0, 0, 0}}; // of no size
    check_fails(spec, Step::id_maps, EINVAL);
}

EXEC_TEST("[go:125] enabling setgroups needs privilege outside of the namespace") {
    if (!is_root() || !strangers_may_have_user_namespaces()) return;
    exec::SpawnSpec spec = program();
    spec.sys.clone_flags = CLONE_NEWUSER;
    map_root_to(spec, stranger);
    spec.sys.gid_mappings_enable_setgroups = true;
    CHECK(outcome_for_stranger(spec) == "id_maps " + std::to_string(EPERM));
}

EXEC_TEST("[go:126] a child that unshares its user namespace writes its own maps") {
    if (!is_root()) return;
    exec::SpawnSpec spec = attributes_spec();
    spec.sys.unshare_flags = CLONE_NEWUSER;
    spec.sys.uid_mappings = {{7, 0, 1}};
    spec.sys.gid_mappings = {{8, 0, 1}};
    const Report report = report_of(spec);
    CHECK(report.at("Uid") == "7\t7\t7\t7");
    CHECK(report.at("Gid") == "8\t8\t8\t8");
    CHECK(report.at("setgroups") == "deny");
    CHECK(report.at("namespace user") != std::filesystem::read_symlink("/proc/self/ns/user"));
}

EXEC_TEST("[go:126] what the child may not write as one inside fails: two ranges, setgroups") {
    if (!is_root()) return;
    exec::SpawnSpec spec = program();
    spec.sys.unshare_flags = CLONE_NEWUSER;
    spec.sys.uid_mappings = {{0, 0, 1}, {1, 100000, 1000}};
    check_fails(spec, Step::id_maps, EPERM);
    map_root_to(spec, 0);
    spec.sys.gid_mappings_enable_setgroups = true;
    check_fails(spec, Step::id_maps, EPERM);
}

EXEC_TEST("[go:126] an ordinary user's child is root in the user namespace that it unshares") {
    if (!is_root() || !strangers_may_have_user_namespaces()) return;
    const Fd image = attributes_image();
    exec::SpawnSpec spec = attributes_spec();
    spec.exec_fd = image.get();
    spec.sys.unshare_flags = CLONE_NEWUSER | CLONE_NEWUTS;
    map_root_to(spec, stranger);
    const Report report = report_from_fork(become_stranger, spec);
    CHECK(report.at("Uid") == "0\t0\t0\t0");
}

namespace {

// For the body of in_fork(): mount events are shared here, as they are on most systems.
void share_mounts() {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_SHARED, nullptr) != 0)
        say("cannot share mounts");
}

} // namespace

EXEC_TEST("[go:126] with its mount namespace unshared a child has all mounts private, those below the root too") {
    if (!is_root()) return;
    exec::SpawnSpec spec = attributes_spec("cat", {"/proc/self/mountinfo"});
    const auto shared_in_child = [&] {
        return in_fork([&] {
                   share_mounts();
                   start_here(spec);
               })
            .output;
    };
    CHECK(shared_in_child().find(" shared:") != std::string::npos); // so there is something to be seen
    spec.sys.unshare_flags = CLONE_NEWNS;
    const std::string mounts = shared_in_child();
    CHECK(mounts.find(" / / ") != std::string::npos);
    CHECK(mounts.find(" /proc ") != std::string::npos);
    CHECK(mounts.find(" shared:") == std::string::npos);
}

EXEC_TEST("[go:126] a root that is no mount cannot be made private") {
    if (!is_root()) return;
    const TemporaryDirectory dir;
    exec::SpawnSpec spec = program();
    spec.sys.unshare_flags = CLONE_NEWNS;
    const Ran ran = in_fork([&] {
        if (::chroot(dir.path().c_str()) != 0) say("cannot chroot");
        say(outcome_of(spec));
    });
    CHECK(ran.output == "private_mounts " + std::to_string(EINVAL) + "\n");
}

namespace {

struct Namespace {
    const char* name;
    std::uint64_t flag;
};

constexpr Namespace namespaces[] = {{"cgroup", CLONE_NEWCGROUP}, {"ipc", CLONE_NEWIPC},   {"mnt", CLONE_NEWNS},
                                    {"net", CLONE_NEWNET},       {"user", CLONE_NEWUSER}, {"uts", CLONE_NEWUTS}};

// Fails the test unless the child is in another namespace of this kind, and of no other.
void check_only_new(const Report& report, const std::string& name) {
    for (const Namespace& each : namespaces) {
        CAPTURE(std::string(each.name));
        const std::string ours = std::filesystem::read_symlink(std::string("/proc/self/ns/") + each.name);
        CHECK((report.at(std::string("namespace ") + each.name) != ours) == (name == each.name));
    }
}

} // namespace

EXEC_TEST("[go:125] a child is born in the namespaces asked for, each alone") {
    if (!is_root()) return;
    exec::SpawnSpec spec = attributes_spec();
    for (const Namespace& each : namespaces) {
        spec.sys.clone_flags = each.flag;
        check_only_new(report_of(spec), each.name);
    }
    spec.sys.clone_flags = CLONE_NEWPID;
    const Report report = report_of(spec);
    CHECK(report.at("pid") == "1");
    CHECK(report.at("NSpid").ends_with("\t1"));
}

EXEC_TEST("[go:126] a child unshares the namespaces asked for, each alone") {
    if (!is_root()) return;
    exec::SpawnSpec spec = attributes_spec();
    for (const Namespace& each : namespaces) {
        spec.sys.unshare_flags = static_cast<int>(each.flag);
        check_only_new(report_of(spec), each.name);
    }
}

EXEC_TEST("[go:125][go:126] namespaces that only the privileged may have are refused to others") {
    if (!is_root()) return;
    exec::SpawnSpec spec = program();
    spec.sys.clone_flags = CLONE_NEWUTS;
    CHECK(outcome_for_stranger(spec) == "clone " + std::to_string(EPERM));
    spec = program();
    spec.sys.unshare_flags = CLONE_NEWUTS;
    CHECK(outcome_for_stranger(spec) == "unshare " + std::to_string(EPERM));
}

namespace {

bool has_time_namespaces() {
    if (::access("/proc/self/ns/time", F_OK) == 0) return true;
    MESSAGE("skipped: this kernel has no time namespaces");
    return false;
}

} // namespace

EXEC_TEST("[go:131] a child is born in a time namespace of its own") {
    if (!is_root() || !has_time_namespaces()) return;
    exec::SpawnSpec spec = attributes_spec();
    spec.sys.clone_flags = new_time;
    CHECK(report_of(spec).at("namespace time") != std::filesystem::read_symlink("/proc/self/ns/time"));
}

EXEC_TEST("[go:131] a time namespace needs clone3: without it the start fails, and nothing runs in ours") {
    if (!is_root() || !has_time_namespaces()) return;
    exec::SpawnSpec spec = attributes_spec();
    spec.sys.clone_flags = new_time;
    const Ran ran = in_fork([&] {
        refuse_calls({{SYS_clone3, -1, 0, ENOSYS}});
        start_here(spec);
        say(outcome_of(program())); // anything else goes on
    });
    CAPTURE(ran.output);
    CHECK(ran.output.starts_with("failed:\tclone "));
    CHECK(ran.output.ends_with("\nstarted\n"));
}
