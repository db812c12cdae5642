// Runs under an emulator, which cannot share memory between processes and knows no clone3. What it starts is
// `EMULATOR PROGRAM`, since the host's kernel does not know the PROGRAM's architecture. test_product.py builds it, and
// knows what it prints.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <keep/exec.hpp>

namespace exec = keep::exec;

static void told(const char* what, const exec::Result<>& result) {
    if (result)
        std::printf("%s: success\n", what);
    else
        std::printf("%s: %s, %s\n", what, exec::step_name(result.error().step()), result.error().message().c_str());
}

int main(int argc, char** argv) {
    if (argc == 3 && std::strcmp(argv[1], "exit") == 0) {
        std::printf("says %s\n", argv[2]);
        return std::atoi(argv[2]);
    }
    std::vector<std::string> self(argv + 1, argv + argc); // how to start this program here

    exec::SpawnSpec spec;
    spec.path = self.at(0);
    spec.argv = self;
    spec.argv.insert(spec.argv.end(), {"exit", "5"});
    for (int time = 1; time <= 3; ++time) { // what was found out of this machine is remembered
        auto process = exec::spawn(spec);
        if (!process) {
            told("spawn", std::unexpected(process.error()));
            return 1;
        }
        auto state = process->wait();
        std::printf("spawn: %s\n", state ? state->to_string().c_str() : state.error().message().c_str());
    }
    spec.path = "/nonexistent/program";
    for (int time = 1; time <= 2; ++time) {
        auto failed = exec::spawn(spec);
        told("no program", failed ? exec::Result<>{} : std::unexpected(failed.error()));
    }
    spec.path = self.at(0);
    spec.sys.chroot = "/nonexistent/root";
    auto failed = exec::spawn(spec);
    told("no root", failed ? exec::Result<>{} : std::unexpected(failed.error()));

    auto words = self;
    words.insert(words.end(), {"exit", "3"});
    auto cmd = exec::command(words.at(0), std::vector<std::string>(words.begin() + 1, words.end()));
    auto [text, result] = cmd.output();
    std::printf("%s%s\n", text.str().c_str(), result ? "success" : result.error().message().c_str());
}
