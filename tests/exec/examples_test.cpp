// The example of a launcher that replaces itself under its child: what it says is what it has done.
#include <cstdlib>
#include <filesystem>
#include <regex>

#include "tests/exec/support.hpp"
#include "tests/lib/temporary_directory.hpp"

using namespace keep;
using namespace keep::test;

namespace {

std::string handover() {
    const char* folder = std::getenv("KEEP_EXEC_EXAMPLES");
    REQUIRE_MESSAGE(folder != nullptr, "KEEP_EXEC_EXAMPLES is the folder of the built examples; meson test sets it");
    return std::string(folder) + "/example-handover";
}

// Its lines with its own pid, which the end of the process tells, as LAUNCHER, and the one of the child as CHILD.
std::string story(const std::string& text, const exec::Cmd& cmd) {
    const std::string pid = std::to_string(cmd.state()->pid());
    const std::string named = std::regex_replace(text, std::regex("pid " + pid + ":"), "LAUNCHER:");
    std::smatch child;
    REQUIRE(std::regex_search(named, child, std::regex("started child (\\d+)")));
    CHECK(child[1] != pid);
    return std::regex_replace(named, std::regex("child " + child[1].str() + "\\b"), "CHILD");
}

} // namespace

EXEC_TEST("[go:137] the launcher of the example hands over to itself, with the same pid, its state and its child") {
    exec::Cmd cmd = exec::command(handover());
    const exec::Output output = cmd.output();
    REQUIRE(output);
    CHECK(story(output.bytes.str(), cmd) == "version 1, LAUNCHER: started CHILD, handing over to /proc/self/exe\n"
                                            "version 2, LAUNCHER: took over as /proc/self/exe\n"
                                            "child: version 2 speaks to me\n"
                                            "version 2, LAUNCHER: CHILD ended: exit status 7\n");
}

EXEC_TEST("[go:137] the launcher of the example hands over to another binary") {
    const TemporaryDirectory dir;
    const std::string newer = dir / "newer";
    std::filesystem::copy_file(handover(), newer);
    exec::Cmd cmd = exec::command(handover(), newer);
    const exec::Output output = cmd.output();
    REQUIRE(output);
    const std::string expected = "version 1, LAUNCHER: started CHILD, handing over to NEWER\n"
                                 "version 2, LAUNCHER: took over as NEWER\n"
                                 "child: version 2 speaks to me\n"
                                 "version 2, LAUNCHER: CHILD ended: exit status 7\n";
    CHECK(story(output.bytes.str(), cmd) == std::regex_replace(expected, std::regex("NEWER"), newer));
}

EXEC_TEST("[go:134] the launcher of the example goes on where it cannot hand over, and loses nothing") {
    exec::Cmd cmd = exec::command(handover(), "/no/such/binary");
    const exec::Output output = cmd.output();
    REQUIRE_FALSE(output);
    REQUIRE(cmd.state() != nullptr);
    CHECK(cmd.state()->exit_code() == 1);
    CHECK(story(output.bytes.str(), cmd) ==
          "version 1, LAUNCHER: started CHILD, handing over to /no/such/binary\n"
          "version 1, LAUNCHER: goes on: exec /no/such/binary: no such file or directory\n"
          "child: version 1 speaks to me\n"
          "version 1, LAUNCHER: CHILD ended: exit status 7\n");
}
