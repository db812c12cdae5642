// host_facts() against a real directory: trust, files, commands, users.
#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <sys/stat.h>
#include <unistd.h>

#include "config/load.hpp"

using namespace keepd::config;

namespace {

// A directory that only its owner may write, gone at the end.
struct Directory {
    std::string path;
    Directory() {
        std::string name = (std::filesystem::temp_directory_path() / "keepd-config-XXXXXX").string();
        path = mkdtemp(name.data());
    }
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;
    ~Directory() { std::filesystem::remove_all(path); }

    std::string file(const std::string& name, const std::string& text, mode_t mode = 0644) const {
        const std::string full = path + "/" + name;
        std::ofstream(full) << text;
        REQUIRE(chmod(full.c_str(), mode) == 0);
        return full;
    }
};

std::string faults_of(const std::string& path, const Facts& facts) {
    const auto plan = load(path, facts);
    std::string text;
    if (!plan)
        for (const Fault& fault : plan.error())
            text += to_text(fault) + "\n";
    return text;
}

bool is_root() {
    return geteuid() == 0;
}

} // namespace

TEST_CASE("as root a config that others can write is refused unread" * doctest::skip(!is_root())) {
    const Directory directory;
    const Facts facts = host_facts();
    const std::string path = directory.file("keepd.json", "this is not even JSON", 0664);
    CHECK(faults_of(path, facts) ==
          path + ": the file '" + path +
              "' is writable by its group: as root keepd does not read it (chmod go-w would mend it)\n");
    chmod(path.c_str(), 0646);
    CHECK(faults_of(path, facts).find("is writable by everybody") != std::string::npos);
    directory.file("keepd.json", "{}", 0644);
    CHECK(faults_of(path, facts) == "");
}

TEST_CASE("as root a config in a directory that others can write is refused" * doctest::skip(!is_root())) {
    const Directory directory;
    const Facts facts = host_facts();
    const std::string path = directory.file("keepd.json", "{}");
    for (const mode_t mode : {0775, 0757, 01777}) {
        chmod(directory.path.c_str(), mode);
        CHECK(faults_of(path, facts).find("the directory '" + directory.path + "' is writable by") !=
              std::string::npos);
    }
    chmod(directory.path.c_str(), 0755);
    CHECK(faults_of(path, facts) == "");
}

TEST_CASE("as root a symbolic link is as good as the directory of what it names" * doctest::skip(!is_root())) {
    const Directory good;
    const Directory loose;
    const std::string target = loose.file("keepd.json", "{}");
    const std::string link = good.path + "/keepd.json";
    REQUIRE(symlink(target.c_str(), link.c_str()) == 0);
    CHECK(faults_of(link, host_facts()) == "");
    chmod(loose.path.c_str(), 0777);
    CHECK(faults_of(link, host_facts()).find("the directory '" + loose.path + "'") != std::string::npos);
}

TEST_CASE("as root an included file is held to the same rule" * doctest::skip(!is_root())) {
    const Directory directory;
    std::filesystem::create_directory(directory.path + "/conf.d");
    const std::string main_file = directory.file("keepd.json", R"({"include": ["conf.d/*.json"]})");
    const std::string included = directory.file("conf.d/a.json", "{}", 0666);
    CHECK(faults_of(main_file, host_facts())
              .starts_with(included + ": the file '" + included + "' is writable by everybody"));
    chmod(included.c_str(), 0644);
    CHECK(faults_of(main_file, host_facts()) == "");
}

TEST_CASE("an ordinary user may read what the group can write") {
    const Directory directory;
    Facts facts = host_facts();
    if (is_root()) facts.distrust = [](const std::string&) { return std::nullopt; };
    CHECK(faults_of(directory.file("keepd.json", "{}", 0664), facts) == "");
}

TEST_CASE("what is no regular file is refused without waiting for it") {
    const Directory directory;
    const Facts facts = host_facts();
    const std::string fifo = directory.path + "/fifo";
    REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
    CHECK(faults_of(fifo, facts) == fifo + ": read '" + fifo + "': not a regular file\n");
    CHECK(facts.read_file(directory.path).error().message == "read '" + directory.path + "': Is a directory");
    CHECK(facts.read_file("/dev/zero").error().message == "read '/dev/zero': not a regular file");
    CHECK(faults_of(directory.path + "/none", facts).ends_with("': No such file or directory\n"));
}

TEST_CASE("a file of any size is read whole, up to what the parser takes") {
    const Directory directory;
    const Facts facts = host_facts();
    const std::string text(3'000'000, ' ');
    CHECK(facts.read_file(directory.file("a", text)).value() == text);
    CHECK(facts.read_file(directory.file("b", "")).value().empty());
    const std::string large = directory.file("c", std::string((std::size_t{16} << 20) + 100, ' '));
    CHECK(faults_of(large, facts) == large + ": larger than 16 MiB\n");
}

TEST_CASE("included files are found and sorted by their bytes") {
    const Directory directory;
    for (const char* name : {"b.json", "a.json", "B.json", "c.txt", ".hidden.json"})
        directory.file(name, "{}");
    CHECK(host_facts().glob(directory.path + "/*.json") ==
          std::vector<std::string>{directory.path + "/B.json", directory.path + "/a.json", directory.path + "/b.json"});
    CHECK(host_facts().glob(directory.path + "/*.none").empty());
}

TEST_CASE("commands: found in PATH, or the reason why not") {
    const Directory directory;
    const Facts facts = host_facts();
    const std::string good = directory.file("keepd-good", "#!/bin/sh\n", 0755);
    const std::string plain = directory.file("keepd-plain", "text", 0644);
    CHECK(facts.executable(good).value() == good);
    CHECK(facts.executable(plain).error() == "it is not executable");
    CHECK(facts.executable(directory.path).error() == "it is a directory");
    CHECK(facts.executable(directory.path + "/none").error() == "no such file");
    CHECK(facts.executable(plain + "/below").error() == "Not a directory");

    const std::string before = std::getenv("PATH") != nullptr ? std::getenv("PATH") : "";
    setenv("PATH", (":relative:" + directory.path).c_str(), 1);
    CHECK(facts.executable("keepd-good").value() == good);
    CHECK(facts.executable("keepd-plain").error() == plain + " is not executable");
    CHECK(facts.executable("keepd-none").error() == "no such file in PATH (:relative:" + directory.path + ")");
    unsetenv("PATH");
    CHECK(facts.executable("sh").has_value());
    setenv("PATH", before.c_str(), 1);
}

TEST_CASE("users, groups and directories of the host") {
    const Facts facts = host_facts();
    REQUIRE(facts.user("root").has_value());
    CHECK(facts.user("root")->uid == 0);
    CHECK(facts.user("0")->name == "root");
    CHECK(facts.user("root")->groups.at(0) == 0);
    CHECK_FALSE(facts.user("no-such-user-of-keepd").has_value());
    CHECK_FALSE(facts.user("4294967295").has_value());
    CHECK(facts.group("root") == 0);
    CHECK(facts.group("12345") == 12345);
    CHECK_FALSE(facts.group("no-such-group-of-keepd").has_value());
    CHECK_FALSE(facts.directory("/").has_value());
    CHECK(facts.directory("/none-of-keepd") == "it does not exist");
    CHECK(facts.directory("/etc/passwd") == "it is not a directory");
    CHECK(facts.uid == geteuid());
    CHECK(facts.root == is_root());
    CHECK(facts.current_dir == std::filesystem::current_path());
}

TEST_CASE("the samples can be loaded" * doctest::skip(!is_root())) {
    // Copied, because a checkout may lie where root trusts nothing.
    const Directory directory;
    for (const auto& entry : std::filesystem::directory_iterator(KEEPD_SAMPLES_DIR)) {
        CAPTURE(entry.path());
        const std::string copy = directory.path + "/" + entry.path().filename().string();
        std::filesystem::copy_file(entry.path(), copy);
        chmod(copy.c_str(), 0644);
        CHECK(faults_of(copy, host_facts()) == "");
    }
}
