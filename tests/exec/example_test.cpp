// Section M of the list, its first number: the program of "Go by Example: Exec'ing Processes", once as the example that
// this library ships, once written out here.
#include "tests/exec/findings.hpp"
#include "tests/exec/watching.hpp"

#include <cstdlib>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/temporary_directory.hpp"

using namespace keep;
using namespace keep::test;

namespace {

// A folder with entries of several kinds, within another one, so that nobody else changes the line of "..".
class Folder {
  public:
    Folder() : path_(outer_ / "folder") {
        REQUIRE(::mkdir(path_.c_str(), 0755) == 0);
        REQUIRE(::mkdir((path_ + "/directory").c_str(), 0700) == 0);
        REQUIRE(::symlink("directory", (path_ + "/link").c_str()) == 0);
        open_file(path_ + "/.hidden", "seen because of -a");
        open_file(path_ + "/large", std::string(5000, 'x')); // 4.9K because of -h
    }
    const std::string& path() const { return path_; }

    std::string listing() const {
        exec::Cmd ls = exec::command("ls", "-a", "-l", "-h");
        ls.dir = path_;
        const exec::Output output = ls.output();
        CHECK(said(output.result) == "");
        return output.bytes.str();
    }

  private:
    TemporaryDirectory outer_;
    std::string path_;
};

std::string example(const std::string& name) {
    const char* folder = std::getenv("KEEP_EXEC_EXAMPLES");
    REQUIRE_MESSAGE(folder != nullptr, "KEEP_EXEC_EXAMPLES names the folder of the built examples; meson test sets it");
    return std::string(folder) + "/" + name;
}

} // namespace

EXEC_TEST("[go:139] the shipped example lists a folder as \"ls -a -l -h\" does, and no later line of it runs") {
    const Folder folder;
    const std::string wanted = folder.listing();
    for (const char* name : {".hidden", "directory", "link -> directory", "4.9K"})
        CHECK_MESSAGE(wanted.find(name) != std::string::npos, wanted);
    exec::Cmd command = exec::command(example("example-list-directory"));
    command.dir = folder.path();
    std::string error;
    command.err = exec::Sink::buffer(error);
    const exec::Output output = command.output();
    CHECK(said(output.result) == "");
    CHECK(output.bytes == wanted);
    CHECK(error == "");
}

EXEC_TEST("[go:139] found by look_path and executed with this environment, ls lists a folder and nothing comes back") {
    const Folder folder;
    const std::string wanted = folder.listing();
    PipePair output = make_pipe();
    Aftermath aftermath;
    aftermath = in_own_process([&](Notes& notes) {
        ::dup2(output.write.get(), STDOUT_FILENO);
        expect(notes, ::chdir(folder.path().c_str()) == 0, "chdir");
        const auto found = exec::look_path("ls");
        if (!found) return notes.line(said(found));
        exec::Replacement with;
        with.path = *found;
        with.argv = {"ls", "-a", "-l", "-h"};
        for (char** variable = environ; *variable != nullptr; ++variable)
            with.env.emplace_back(*variable);
        const exec::Error error = exec::replace(with);
        notes.line("a later line ran: " + error.message());
    });
    output.write.reset();
    CHECK(aftermath.faults() == "");
    CHECK(read_to_end(output.read.get()) == wanted);
}
