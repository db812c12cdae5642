#include "lib/base/exit_status.hpp"

#include "lib/base/signals.hpp"

namespace keep {

std::string to_text(const ExitStatus& status) {
    switch (status.kind) {
    case ExitStatus::Kind::exited: return "exit " + std::to_string(status.value);
    case ExitStatus::Kind::signaled: return signal_name(status.value) + (status.core ? " (core dumped)" : "");
    case ExitStatus::Kind::unknown: return "unknown";
    }
    return "unknown";
}

} // namespace keep
