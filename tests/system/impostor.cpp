// A program that says it is keepd (it carries keepd's own note, see daemon/version.cpp) and is not. How it behaves in a
// rehearsal is the part of its file name after the last dash: impostor-hangs, impostor-nonsense, ...
#include <csignal>
#include <string>
#include <string_view>
#include <unistd.h>

#include "daemon/version.hpp"

namespace {

void say(std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = ::write(1, text.data(), text.size());
        if (written <= 0) ::_exit(1);
        text.remove_prefix(static_cast<std::size_t>(written));
    }
}

} // namespace

int main() {
    char path[4096];
    const ssize_t length = ::readlink("/proc/self/exe", path, sizeof path);
    const std::string_view whole(path, length > 0 ? static_cast<std::size_t>(length) : 0);
    const std::string_view mode = whole.substr(whole.rfind('-') + 1);
    if (mode == "hangs") {
        std::signal(SIGTERM, SIG_IGN);
        while (true)
            ::pause();
    }
    if (mode == "nonsense") say("a cat sat on the state\n");
    if (mode == "babbles") {
        while (true)
            say(std::string(1 << 16, 'x'));
    }
    if (mode == "fails") return 3;
    if (mode == "crashes") ::raise(SIGSEGV);
    // The right form, with a state that is not ours.
    // The right form and the right names, with a state that is not ours.
    if (mode == "forgets")
        say("keepd-rehearsal=1\nversion=" + std::string(keepd::version()) + "\nbuild_id=" + keepd::own_build_id() +
            "\nformat=1.0\ndigest=0123456789abcdef\nprograms=2\nend\n");
    // Somebody else's names.
    if (mode == "boasts")
        say("keepd-rehearsal=1\nversion=9.9.9\nbuild_id=00\nformat=1.0\ndigest=0123456789abcdef\nprograms=2\nend\n");
    return 0; // silent
}
