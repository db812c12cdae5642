// A program that becomes ls(1): the counterpart of Go by Example's "Exec'ing Processes".
#include <iostream>
#include <unistd.h>

#include <keep/exec.hpp>

namespace exec = keep::exec;

int main() {
    // replace() wants the file itself; what a shell does with PATH is look_path()'s.
    const auto ls = exec::look_path("ls");
    if (!ls) {
        std::cerr << ls.error().message() << '\n';
        return 1;
    }

    exec::Replacement with;
    with.path = *ls;
    with.argv = {"ls", "-a", "-l", "-h"}; // argv[0] is the program's own name
    for (char** variable = environ; *variable != nullptr; ++variable)
        with.env.emplace_back(*variable);

    // From here on this process is ls: same pid, same terminal, same parent. Only a failure comes back.
    const exec::Error error = exec::replace(with);
    std::cerr << "unreachable, but for this: " << error.message() << '\n';
    return 1;
}
