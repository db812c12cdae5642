#include "tests/exec/support.hpp"

#include <chrono>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <fstream>
#include <poll.h>
#include <sstream>
#include <unistd.h>

namespace keep::test {
namespace {

std::vector<std::string> entries(const char* directory) {
    std::vector<std::string> names;
    DIR* list = ::opendir(directory);
    if (list == nullptr) return names;
    const std::string own = std::to_string(::dirfd(list));
    while (const dirent* entry = ::readdir(list)) {
        if (entry->d_name[0] != '.' && own != entry->d_name) names.emplace_back(entry->d_name);
    }
    ::closedir(list);
    return names;
}

std::string link_target(const std::string& path) {
    std::string target(512, '\0');
    const ssize_t length = ::readlink(path.c_str(), target.data(), target.size());
    target.resize(length < 0 ? 0 : static_cast<std::size_t>(length));
    return target;
}

} // namespace

Holdings holdings() {
    Holdings found;
    for (const std::string& name : entries("/proc/self/fd"))
        found.descriptors[std::stoi(name)] = link_target("/proc/self/fd/" + name);
    const auto threads = entries("/proc/self/task");
    found.threads = static_cast<int>(threads.size());
    for (const std::string& thread : threads) {
        std::ifstream children("/proc/self/task/" + thread + "/children");
        for (int pid = 0; children >> pid;)
            found.children.insert(pid);
    }
    return found;
}

std::string to_string(const Holdings& holdings) {
    std::ostringstream text;
    text << holdings.threads << " threads; children:";
    for (const int pid : holdings.children)
        text << ' ' << pid;
    text << "; descriptors:";
    for (const auto& [number, target] : holdings.descriptors)
        text << ' ' << number << '=' << target;
    return text.str();
}

void leaving_nothing(void (*body)()) {
    const Holdings before = holdings();
    body();
    // A joined thread can still be seen in /proc for a moment.
    Holdings after = holdings();
    const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (!(after == before) && std::chrono::steady_clock::now() < patience) {
        ::poll(nullptr, 0, 1);
        after = holdings();
    }
    CHECK_MESSAGE(after == before, "left behind: " << to_string(after) << "\nbefore: " << to_string(before));
}

std::string helper_path() {
    const char* path = std::getenv("KEEP_EXEC_HELPER");
    REQUIRE_MESSAGE(path != nullptr, "KEEP_EXEC_HELPER names the helper program; meson test sets it");
    return path;
}

exec::Cmd helper(std::string_view mode, std::vector<std::string> args) {
    args.emplace(args.begin(), mode);
    return exec::command(helper_path(), std::move(args));
}

exec::Cmd helper(exec::Context context, std::string_view mode, std::vector<std::string> args) {
    args.emplace(args.begin(), mode);
    return exec::command(std::move(context), helper_path(), std::move(args));
}

exec::SpawnSpec helper_spec(std::string_view mode, std::vector<std::string> args) {
    exec::SpawnSpec spec;
    spec.path = helper_path();
    spec.argv = {"exec-helper", std::string(mode)};
    spec.argv.insert(spec.argv.end(), args.begin(), args.end());
    spec.env.emplace();
    return spec;
}

Ran run(exec::SpawnSpec spec) {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    Fd read = Fd::adopt(ends[0]);
    Fd write = Fd::adopt(ends[1]);
    spec.stdio[1] = write.get();
    auto process = exec::spawn(spec);
    if (!process) FAIL(process.error().message());
    write.reset();
    Ran ran;
    char buffer[4096];
    for (ssize_t count = 0; (count = ::read(read.get(), buffer, sizeof buffer)) > 0;)
        ran.output.append(buffer, static_cast<std::size_t>(count));
    auto state = process->wait();
    REQUIRE(state);
    ran.state = *state;
    return ran;
}

std::map<std::string, std::string> status_fields(std::string_view text) {
    std::map<std::string, std::string> fields;
    std::istringstream lines{std::string(text)};
    for (std::string line; std::getline(lines, line);) {
        const std::size_t colon = line.find(":\t");
        if (colon != std::string::npos) fields[line.substr(0, colon)] = line.substr(colon + 2);
    }
    return fields;
}

std::string read_text(const std::string& path) {
    std::ifstream file(path);
    REQUIRE_MESSAGE(file, path);
    return {std::istreambuf_iterator<char>(file), {}};
}

bool is_root() {
    if (::geteuid() == 0) return true;
    MESSAGE("skipped: only root can do this");
    return false;
}

} // namespace keep::test
