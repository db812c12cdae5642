// The program that tells what it was given: exec-attributes-helper MODE [ARG...]. It uses nothing of the library, and
// is linked statically, so that it runs in a root directory of its own and takes no signal or descriptor for itself.
//   report            what it finds itself to be, "KEY:\tVALUE" a line, then /proc/self/status
//   hang              "ready" on standard output, and never ends by itself
//   cat FILE          the file, or nothing where it may not be read
//   reap FIRST SECOND  waits for its child FIRST, then sends SIGTERM to its child SECOND and waits for it: how each
//   ended
#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <string>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace {

std::string contents(const char* path) {
    std::string text;
    const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return text;
    char buffer[4096];
    for (ssize_t count = 0; (count = ::read(fd, buffer, sizeof buffer)) > 0;)
        text.append(buffer, static_cast<std::size_t>(count));
    ::close(fd);
    return text;
}

std::string first_line(const char* path) {
    const std::string text = contents(path);
    return text.substr(0, text.find('\n'));
}

// Of the cgroup v2 hierarchy.
std::string cgroup() {
    const std::string text = "\n" + contents("/proc/self/cgroup");
    const std::size_t at = text.find("\n0::");
    return at == std::string::npos ? "?" : text.substr(at + 4, text.find('\n', at + 1) - at - 4);
}

std::string link_target(const std::string& path) {
    char target[512];
    const ssize_t length = ::readlink(path.c_str(), target, sizeof target);
    return length < 0 ? "?" : std::string(target, static_cast<std::size_t>(length));
}

void tell(const char* key, const std::string& value) {
    std::printf("%s:\t%s\n", key, value.c_str());
}
void tell(const char* key, long value) {
    tell(key, std::to_string(value));
}

void tell_limit(const char* key, decltype(RLIMIT_CORE) resource) {
    rlimit limit{};
    ::getrlimit(resource, &limit);
    tell(key, std::to_string(limit.rlim_cur) + " " + std::to_string(limit.rlim_max));
}

std::string descriptors() {
    std::vector<int> numbers;
    DIR* list = ::opendir("/proc/self/fd");
    if (list == nullptr) return "?";
    while (const dirent* entry = ::readdir(list)) {
        if (entry->d_name[0] != '.' && std::atoi(entry->d_name) != ::dirfd(list))
            numbers.push_back(std::atoi(entry->d_name));
    }
    ::closedir(list);
    std::sort(numbers.begin(), numbers.end());
    std::string text;
    for (const int number : numbers)
        text += (text.empty() ? "" : " ") + std::to_string(number);
    return text;
}

void tell_terminal() {
    const int terminal = ::open("/dev/tty", O_RDWR | O_CLOEXEC);
    tell("terminal group", terminal < 0 ? -1 : ::tcgetpgrp(terminal));
    if (terminal >= 0) ::close(terminal);
}

int report() {
    tell("descriptors", descriptors()); // first, before anything here opens one
    tell("pid", ::getpid());
    tell("parent", ::getppid());
    tell("group", ::getpgrp());
    tell("session", ::getsid(0));
    tell_terminal();
    char here[4096];
    tell("directory", ::getcwd(here, sizeof here) == nullptr ? "?" : here);
    errno = 0;
    tell("nice", ::getpriority(PRIO_PROCESS, 0));
    tell("io priority", ::syscall(SYS_ioprio_get, 1 /* IOPRIO_WHO_PROCESS */, 0));
    tell("oom score adjust", first_line("/proc/self/oom_score_adj"));
    tell_limit("core", RLIMIT_CORE);
    tell_limit("nofile", RLIMIT_NOFILE);
    int death_signal = -1;
    ::prctl(PR_GET_PDEATHSIG, &death_signal);
    tell("parent death signal", death_signal);
    tell("keeps capabilities", ::prctl(PR_GET_KEEPCAPS));
    tell("session keyring", ::syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0));
    tell("cgroup", cgroup());
    for (const char* kind : {"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"})
        tell((std::string("namespace ") + kind).c_str(), link_target(std::string("/proc/self/ns/") + kind));
    tell("uid map", first_line("/proc/self/uid_map"));
    tell("gid map", first_line("/proc/self/gid_map"));
    tell("setgroups", first_line("/proc/self/setgroups"));
    std::fputs(contents("/proc/self/status").c_str(), stdout);
    return 0;
}

void tell_end_of(const char* key, pid_t child) {
    int status = 0;
    if (::waitpid(child, &status, 0) != child) {
        tell(key, std::string("no child: ") + std::strerror(errno));
    } else if (WIFSIGNALED(status)) {
        tell(key, "signal " + std::to_string(WTERMSIG(status)));
    } else {
        tell(key, "exit " + std::to_string(WEXITSTATUS(status)));
    }
}

int reap(pid_t first, pid_t second) {
    tell_end_of("first", first);
    ::kill(second, SIGTERM);
    tell_end_of("second", second);
    return 0;
}

int hang() {
    std::puts("ready");
    std::fflush(stdout);
    for (;;)
        ::pause();
}

} // namespace

int main(int argc, char** argv) {
    const std::string mode = argc < 2 ? "" : argv[1];
    int code = 99;
    if (mode == "report") code = report();
    if (mode == "hang") code = hang();
    if (mode == "cat" && argc > 2) code = std::fputs(contents(argv[2]).c_str(), stdout) < 0 ? 1 : 0;
    if (mode == "reap" && argc > 3) code = reap(std::atoi(argv[2]), std::atoi(argv[3]));
    std::fflush(stdout);
    return code;
}
