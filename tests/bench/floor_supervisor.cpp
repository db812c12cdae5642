// floor_supervisor LIST: the least that a supervisor can do, as the floor beside keepd's figures. LIST has one command
// a line, its words split at blanks.
//
//   start, restart   vfork, execv; wait for any child; start at once again what has ended
//   SIGHUP           reads LIST again and kills the children whose line has changed
//   SIGUSR2          executes itself anew, the children's pids in a memfd; they don't notice
//   SIGTERM          kills its children and ends
//
// With FLOOR_SESSIONS in its environment each child gets a session of its own, as is usual of supervisors; the kernel
// then schedules it as a group of its own, which costs time, much of it on a busy machine.
//
// No log, no control, no config, no checks, no restart policy. A signal that comes between the look at its flag and
// wait() would be seen at the next child's end only: good enough for a floor, too little for a supervisor.
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace {

volatile sig_atomic_t ending, reloading, replacing;
bool sessions;

struct Child {
    std::string line;
    std::vector<std::string> words;
    std::vector<char*> arguments;
    pid_t pid = 0;

    explicit Child(std::string text) { set(std::move(text)); }
    void set(std::string text) {
        line = std::move(text);
        std::istringstream in(line);
        words.assign(std::istream_iterator<std::string>(in), {});
        arguments.clear();
        for (auto& word : words)
            arguments.push_back(word.data());
        arguments.push_back(nullptr);
    }
    void start() {
        char** argv = arguments.data();
        const pid_t child = vfork();
        if (child == 0) {
            if (sessions) setsid();
            execv(argv[0], argv);
            _exit(127);
        }
        pid = child;
    }
};

std::vector<std::string> lines_of(const char* path) {
    std::vector<std::string> lines;
    std::ifstream in(path);
    for (std::string line; std::getline(in, line);)
        lines.push_back(line);
    return lines;
}

void reload(std::vector<Child>& children, const char* list) {
    const auto lines = lines_of(list);
    for (std::size_t i = 0; i < children.size() && i < lines.size(); ++i) {
        if (children[i].line == lines[i]) continue;
        children[i].set(lines[i]);
        kill(children[i].pid, SIGTERM);
    }
}

void replace_image(const std::vector<Child>& children, char* list) {
    const int fd = memfd_create("pids", 0);
    std::vector<pid_t> pids;
    for (const auto& child : children)
        pids.push_back(child.pid);
    if (write(fd, pids.data(), pids.size() * sizeof pids[0]) < 0) return;
    std::string number = std::to_string(fd);
    static char name[] = "floor_supervisor";
    char* arguments[] = {name, list, number.data(), nullptr};
    execv("/proc/self/exe", arguments);
    close(fd);
}

void take_over(std::vector<Child>& children, int fd) {
    std::vector<pid_t> pids(children.size());
    if (pread(fd, pids.data(), pids.size() * sizeof pids[0], 0) < 0) std::exit(1);
    close(fd);
    for (std::size_t i = 0; i < children.size(); ++i)
        children[i].pid = pids[i];
}

// Without SA_RESTART: wait() ends, and the flags are looked at.
void on_signal(int number, volatile sig_atomic_t& flag, void (*handler)(int)) {
    flag = 0;
    struct sigaction action{};
    action.sa_handler = handler;
    sigaction(number, &action, nullptr);
}

} // namespace

int main(int count, char** arguments) {
    if (count < 2) return 2;
    sessions = std::getenv("FLOOR_SESSIONS") != nullptr;
    on_signal(SIGTERM, ending, [](int) { ending = 1; });
    on_signal(SIGHUP, reloading, [](int) { reloading = 1; });
    on_signal(SIGUSR2, replacing, [](int) { replacing = 1; });

    std::vector<Child> children;
    for (auto& line : lines_of(arguments[1]))
        children.emplace_back(std::move(line));
    if (count > 2)
        take_over(children, std::atoi(arguments[2]));
    else
        for (auto& child : children)
            child.start();

    while (ending == 0) {
        const pid_t pid = wait(nullptr);
        if (pid > 0)
            for (auto& child : children)
                if (child.pid == pid) child.start();
        if (reloading != 0) {
            reloading = 0;
            reload(children, arguments[1]);
        }
        if (replacing != 0) {
            replacing = 0;
            replace_image(children, arguments[1]);
        }
    }
    for (const auto& child : children)
        kill(child.pid, SIGKILL);
    return 0;
}
