// A stranger's program: both layers, the errors, and in the end another program in its place. test_product.py builds it
// against an installation and knows what it prints.
#include <cstdio>
#include <keep/exec.hpp>

namespace exec = keep::exec;

int main() {
    auto [text, result] = exec::command("echo", "from", "a", "child").output();
    std::printf("%s", text.str().c_str());
    if (!result) return 1;

    auto failed = exec::command("sh", "-c", "echo why >&2; exit 7").output();
    if (failed || failed.result.error().exit() == nullptr) return 2;
    const exec::ExitError& exit = *failed.result.error().exit();
    std::printf("%s, %d, %s", failed.result.error().message().c_str(), exit.state.exit_code(),
                exit.stderr_text.c_str());

    auto none = exec::command("/nonexistent/program").run();
    std::printf("%s\n", none ? "started" : none.error().message().c_str());

    std::string upper;
    auto filter = exec::command("tr", "a-z", "A-Z");
    filter.in = exec::Source::bytes("through a pipe\n");
    filter.out = exec::Sink::buffer(upper);
    if (!filter.run()) return 3;
    std::printf("%s", upper.c_str());

    auto path = exec::look_path("true");
    if (!path) return 4;
    exec::SpawnSpec spec;
    spec.path = *path;
    auto process = exec::spawn(spec);
    if (!process) return 5;
    auto state = process->wait();
    std::printf("%s\n", state ? state->to_string().c_str() : state.error().message().c_str());

    auto slow = exec::command(exec::Context::with_timeout(std::chrono::milliseconds(1)), "sleep", "1000");
    auto given_up = slow.run();
    std::printf("%d\n", !given_up && (given_up.error().is(exec::Errc::deadline_exceeded) || given_up.error().exit()));

    std::fflush(stdout);
    exec::Replacement echo;
    echo.path = *exec::look_path("echo");
    echo.argv = {"echo", "replaced"};
    const exec::Error error = exec::replace(echo);
    std::printf("%s\n", error.message().c_str());
    return 6;
}
