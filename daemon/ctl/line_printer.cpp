#include "daemon/ctl/line_printer.hpp"

namespace keepd::ctl {

void LinePrinter::take(std::string_view bytes) {
    if (!wrap_) {
        sink_(bytes);
        return;
    }
    std::string text;
    for (std::size_t end = bytes.find('\n'); end != std::string_view::npos; end = bytes.find('\n')) {
        unfinished_ += bytes.substr(0, end);
        text += wrap_(unfinished_);
        unfinished_.clear();
        bytes.remove_prefix(end + 1);
    }
    unfinished_ += bytes;
    if (!text.empty()) sink_(text);
}

void LinePrinter::finish() {
    if (unfinished_.empty()) return;
    sink_(wrap_(unfinished_));
    unfinished_.clear();
}

} // namespace keepd::ctl
