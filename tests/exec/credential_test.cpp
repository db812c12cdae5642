// Whom the child runs as, what it may do, and where its root is.
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <grp.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/exec/attributes.hpp"
#include "tests/lib/temporary_directory.hpp"

using namespace keep;
using namespace keep::test;
using exec::Credential;
using exec::Step;

namespace {

constexpr const char* stranger_thrice_and_once = "61234\t61234\t61234\t61234"; // real, effective, saved, file system

exec::SpawnSpec program() {
    exec::SpawnSpec spec;
    spec.path = "/bin/true";
    return spec;
}

std::string capabilities(std::initializer_list<int> numbers) {
    std::uint64_t bits = 0;
    for (const int number : numbers)
        bits |= std::uint64_t{1} << number;
    char text[17];
    std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(bits));
    return text;
}

// For the body of in_fork(): so that a child can be seen to keep or to lose them.
void take_groups() {
    const gid_t groups[] = {61301, 61302};
    if (::setgroups(2, groups) != 0) say("no groups");
}

// What an ordinary user is told of a start that only root may make.
std::string outcome_for_stranger(const exec::SpawnSpec& spec) {
    return in_fork([&] {
               become_stranger();
               say(outcome_of(spec));
           })
        .output;
}

} // namespace

EXEC_TEST("[go:123] a credential gives the child all ids of the user and the group, and the groups") {
    if (!is_root()) return;
    const Fd image = attributes_image();
    exec::SpawnSpec spec = attributes_spec();
    spec.exec_fd = image.get();
    spec.sys.credential = Credential{stranger, 61235, {61235, 61236}};
    const Report report = report_of(spec);
    CHECK(report.at("Uid") == stranger_thrice_and_once);
    CHECK(report.at("Gid") == "61235\t61235\t61235\t61235");
    CHECK(report.at("Groups") == "61235 61236 ");
    CHECK(report.at("CapEff") == capabilities({}));
    CHECK(report.at("CapPrm") == capabilities({}));
}

EXEC_TEST("[go:123] an empty list of groups drops the parent's") {
    if (!is_root()) return;
    exec::SpawnSpec spec = attributes_spec();
    spec.sys.credential = Credential{};
    CHECK(report_from_fork(take_groups, spec).at("Groups") == " ");
}

EXEC_TEST("[go:123] no_set_groups leaves the parent's groups") {
    if (!is_root()) return;
    exec::SpawnSpec spec = attributes_spec();
    spec.sys.credential = Credential{0, 0, {}, true};
    CHECK(report_from_fork(take_groups, spec).at("Groups") == "61301 61302 ");
}

EXEC_TEST("[go:123] in a user namespace without setgroups an empty list of groups is left alone") {
    if (!is_root()) return;
    exec::SpawnSpec spec = attributes_spec();
    spec.sys.clone_flags = CLONE_NEWUSER;
    spec.sys.uid_mappings = {{0, 0, 1}};
    spec.sys.gid_mappings = {{0, 0, 1}};
    spec.sys.credential = Credential{};
    const Report report = report_of(spec);
    CHECK(report.at("Uid") == "0\t0\t0\t0");
    CHECK(report.at("setgroups") == "deny");
}

EXEC_TEST("[go:123] in a user namespace without setgroups a list of groups is refused") {
    if (!is_root()) return;
    exec::SpawnSpec spec = program();
    spec.sys.clone_flags = CLONE_NEWUSER;
    spec.sys.uid_mappings = {{0, 0, 1}};
    spec.sys.gid_mappings = {{0, 0, 1}};
    spec.sys.credential = Credential{0, 0, {0}};
    check_fails(spec, Step::groups, EPERM);
}

EXEC_TEST("[go:123] in a user namespace with setgroups the groups are set") {
    if (!is_root()) return;
    exec::SpawnSpec spec = attributes_spec();
    spec.sys.clone_flags = CLONE_NEWUSER;
    spec.sys.uid_mappings = {{0, 0, 1}};
    spec.sys.gid_mappings = {{0, 0, 10}};
    spec.sys.gid_mappings_enable_setgroups = true;
    spec.sys.credential = Credential{0, 0, {7}};
    const Report report = report_of(spec);
    CHECK(report.at("setgroups") == "allow");
    CHECK(report.at("Groups") == "7 ");
}

EXEC_TEST("[go:123] what a user may not change fails by name: groups, group, user") {
    if (!is_root()) return;
    exec::SpawnSpec spec = program();
    spec.sys.credential = Credential{0, 0, {}};
    CHECK(outcome_for_stranger(spec) == "groups " + std::to_string(EPERM) + "\n");
    spec.sys.credential = Credential{0, 0, {}, true};
    CHECK(outcome_for_stranger(spec) == "gid " + std::to_string(EPERM) + "\n");
    spec.sys.credential = Credential{0, stranger, {}, true};
    CHECK(outcome_for_stranger(spec) == "uid " + std::to_string(EPERM) + "\n");
    spec.sys.credential = Credential{stranger, stranger, {}, true};
    CHECK(outcome_for_stranger(spec) == "started\n");
}

EXEC_TEST("[go:123] an id of -1 is refused: the kernel would keep the parent's") {
    exec::SpawnSpec spec = program();
    spec.sys.credential = Credential{static_cast<uid_t>(-1), 0, {}};
    check_fails(spec, Step::uid, EINVAL);
    spec.sys.credential = Credential{0, static_cast<gid_t>(-1), {}};
    check_fails(spec, Step::gid, EINVAL);
}

namespace {

// A root directory with the static helper as /program, and a directory /inside.
struct Root {
    TemporaryDirectory dir;
    Root() {
        std::filesystem::copy_file(attributes_helper(), dir / "program");
        std::filesystem::create_directory(dir / "inside");
    }
    exec::SpawnSpec spec() const {
        exec::SpawnSpec spec = attributes_spec();
        spec.path = "/program";
        spec.sys.chroot = dir.path();
        return spec;
    }
};

} // namespace

EXEC_TEST("[go:124] path and directory are those inside the new root") {
    if (!is_root()) return;
    const Root root;
    exec::SpawnSpec spec = root.spec();
    spec.dir = "/inside";
    CHECK(report_of(spec).at("directory") == "/inside");
    spec.path = "../program"; // from the directory
    CHECK(report_of(spec).at("directory") == "/inside");
}

EXEC_TEST("[go:124] without a directory the child is in the new root, not outside of it") {
    if (!is_root()) return;
    const Root root;
    CHECK(report_of(root.spec()).at("directory") == "/");
}

EXEC_TEST("[go:124] what lies outside of the new root is not found: root, directory, program") {
    if (!is_root()) return;
    const Root root;
    exec::SpawnSpec spec = root.spec();
    spec.path = attributes_helper();
    check_fails(spec, Step::execve, ENOENT);
    spec.path = "/program";
    spec.dir = root.dir.path();
    check_fails(spec, Step::chdir, ENOENT);
    spec.sys.chroot = root.dir / "missing";
    check_fails(spec, Step::chroot, ENOENT);
    spec.sys.chroot = root.dir / "program";
    check_fails(spec, Step::chroot, ENOTDIR);
}

EXEC_TEST("[go:124] only the privileged change their root") {
    if (!is_root()) return;
    exec::SpawnSpec spec = program();
    spec.sys.chroot = "/";
    CHECK(outcome_for_stranger(spec) == "chroot " + std::to_string(EPERM) + "\n");
}

EXEC_TEST("[go:127] ambient capabilities outlive the change of the user, and are effective") {
    if (!is_root()) return;
    const TemporaryDirectory dir; // root's alone
    std::ofstream(dir / "secret") << "the secret of root";
    const Fd image = attributes_image();
    exec::SpawnSpec spec = attributes_spec();
    spec.exec_fd = image.get();
    spec.sys.credential = Credential{stranger, stranger, {}};
    spec.sys.ambient_caps = {CAP_DAC_READ_SEARCH, CAP_AUDIT_READ}; // a low one, and one above 31
    const Report report = report_of(spec);
    const std::string both = capabilities({CAP_DAC_READ_SEARCH, CAP_AUDIT_READ});
    CHECK(report.at("Uid") == stranger_thrice_and_once);
    CHECK(report.at("CapAmb") == both);
    CHECK(report.at("CapEff") == both);
    CHECK(report.at("CapPrm") == both);
    CHECK(report.at("keeps capabilities") == "0");

    spec.argv = {"exec-attributes-helper", "cat", dir / "secret"};
    CHECK(run(spec).output == "the secret of root");
    spec.sys.ambient_caps.clear();
    CHECK(run(spec).output.empty());
}

EXEC_TEST("[go:127] a capability that the parent does not have, or that there is not, cannot be given") {
    if (!is_root()) return;
    exec::SpawnSpec spec = program();
    spec.sys.ambient_caps = {63};
    check_fails(spec, Step::ambient_capabilities, EINVAL);
    spec.sys.ambient_caps = {64};
    check_fails(spec, Step::ambient_capabilities, EINVAL);
    spec.sys.ambient_caps = {CAP_NET_BIND_SERVICE};
    CHECK(outcome_for_stranger(spec) == "ambient_capabilities " + std::to_string(EPERM) + "\n");
}

EXEC_TEST("no_new_privileges is set in the child alone") {
    exec::SpawnSpec spec = attributes_spec();
    CHECK(report_of(spec).at("NoNewPrivs") == "0");
    spec.sys.no_new_privileges = true;
    CHECK(report_of(spec).at("NoNewPrivs") == "1");
    spec.sys.no_new_privileges = false;
    CHECK(report_of(spec).at("NoNewPrivs") == "0");
}

EXEC_TEST("the bounding set of the child is what is given, and limits what root can be again") {
    if (!is_root()) return;
    exec::SpawnSpec spec = attributes_spec();
    spec.sys.bounding_set = std::uint64_t{1} << CAP_KILL | std::uint64_t{1} << CAP_AUDIT_READ;
    const Report report = report_of(spec);
    CHECK(report.at("CapBnd") == capabilities({CAP_KILL, CAP_AUDIT_READ}));
    CHECK(report.at("CapPrm") == capabilities({CAP_KILL, CAP_AUDIT_READ})); // still root: permitted within the bounds
    spec.sys.bounding_set = 0;
    CHECK(report_of(spec).at("CapBnd") == capabilities({}));
}

EXEC_TEST("the bounding set shrinks before the user changes, who could not do it") {
    if (!is_root()) return;
    const Fd image = attributes_image();
    exec::SpawnSpec spec = attributes_spec();
    spec.exec_fd = image.get();
    spec.sys.credential = Credential{stranger, stranger, {}};
    spec.sys.bounding_set = 0;
    const Report report = report_of(spec);
    CHECK(report.at("CapBnd") == capabilities({}));
    CHECK(report.at("Uid") == stranger_thrice_and_once);
    spec = program();
    spec.sys.bounding_set = 0;
    CHECK(outcome_for_stranger(spec) == "bounding_set " + std::to_string(EPERM) + "\n");
}

EXEC_TEST("the session keyring is left alone, also by a change of the user") {
    if (!is_root()) return;
    const Fd image = attributes_image();
    exec::SpawnSpec spec = attributes_spec();
    spec.exec_fd = image.get();
    spec.sys.credential = Credential{stranger, stranger, {}};
    long ours = -1;
    const Ran ran = in_fork([&] {
        ours = ::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr); // one that no other process has
        say("ours:\t" + std::to_string(ours));
        start_here(spec);
    });
    const Report report = status_fields(ran.output);
    if (report.at("ours") == "-1") {
        MESSAGE("skipped: no keyrings here");
        return;
    }
    CHECK(report.at("session keyring") == report.at("ours"));
}
