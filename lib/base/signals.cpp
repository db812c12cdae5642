#include "lib/base/signals.hpp"

#include <array>
#include <charconv>
#include <csignal>

namespace keep {
namespace {

struct Named {
    std::string_view name; // without SIG
    int number;
};

constexpr std::array named{
    Named{"HUP", SIGHUP},   Named{"INT", SIGINT},       Named{"QUIT", SIGQUIT}, Named{"ILL", SIGILL},
    Named{"TRAP", SIGTRAP}, Named{"ABRT", SIGABRT},     Named{"BUS", SIGBUS},   Named{"FPE", SIGFPE},
    Named{"KILL", SIGKILL}, Named{"USR1", SIGUSR1},     Named{"SEGV", SIGSEGV}, Named{"USR2", SIGUSR2},
    Named{"PIPE", SIGPIPE}, Named{"ALRM", SIGALRM},     Named{"TERM", SIGTERM}, Named{"STKFLT", SIGSTKFLT},
    Named{"CHLD", SIGCHLD}, Named{"CONT", SIGCONT},     Named{"STOP", SIGSTOP}, Named{"TSTP", SIGTSTP},
    Named{"TTIN", SIGTTIN}, Named{"TTOU", SIGTTOU},     Named{"URG", SIGURG},   Named{"XCPU", SIGXCPU},
    Named{"XFSZ", SIGXFSZ}, Named{"VTALRM", SIGVTALRM}, Named{"PROF", SIGPROF}, Named{"WINCH", SIGWINCH},
    Named{"IO", SIGIO},     Named{"PWR", SIGPWR},       Named{"SYS", SIGSYS},
};
constexpr std::array aliases{Named{"IOT", SIGABRT}, Named{"CLD", SIGCHLD}, Named{"POLL", SIGIO}};

std::optional<int> whole_number(std::string_view text) {
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < 0) return std::nullopt;
    return value;
}

// 32 and 33 exist in the kernel but belong to the C library: no program can be asked to handle them.
bool exists(int number) {
    return (number >= 1 && number <= 31) || (number >= SIGRTMIN && number <= SIGRTMAX);
}

std::optional<int> existing(int number) {
    return exists(number) ? std::optional(number) : std::nullopt;
}

// The N of "RTMIN+N" and "RTMAX-N": what follows the name and its sign.
std::optional<int> real_time(std::string_view name) {
    const bool from_lowest = name.starts_with("RTMIN");
    if (!from_lowest && !name.starts_with("RTMAX")) return std::nullopt;
    name.remove_prefix(5);
    if (name.empty()) return from_lowest ? SIGRTMIN : SIGRTMAX;
    if (name.front() != (from_lowest ? '+' : '-')) return std::nullopt;
    const auto offset = whole_number(name.substr(1));
    if (!offset || *offset > SIGRTMAX - SIGRTMIN) return std::nullopt;
    return from_lowest ? SIGRTMIN + *offset : SIGRTMAX - *offset;
}

} // namespace

std::optional<int> parse_signal(std::string_view text) {
    if (const auto number = whole_number(text)) return existing(*number);
    if (text.starts_with("SIG")) text.remove_prefix(3);
    for (const Named& signal : named) {
        if (signal.name == text) return signal.number;
    }
    for (const Named& signal : aliases) {
        if (signal.name == text) return signal.number;
    }
    return real_time(text);
}

std::string signal_name(int number) {
    for (const Named& signal : named) {
        if (signal.number == number) return "SIG" + std::string(signal.name);
    }
    if (!exists(number)) return "signal " + std::to_string(number);
    if (number == SIGRTMIN) return "SIGRTMIN";
    return "SIGRTMIN+" + std::to_string(number - SIGRTMIN);
}

const std::vector<std::string>& signal_names() {
    static const std::vector<std::string> names = [] {
        std::vector<std::string> all;
        for (const Named& signal : named)
            all.push_back("SIG" + std::string(signal.name));
        all.emplace_back("SIGRTMIN");
        all.emplace_back("SIGRTMAX");
        return all;
    }();
    return names;
}

} // namespace keep
