// Log bytes as whole lines with the program's name in front, or as they are. Pure.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace keepd::ctl {

class LinePrinter {
  public:
    using Sink = std::function<void(std::string_view text)>;
    // Makes the text of one line (without its end), line end included; nothing set: bytes pass through at once.
    using Wrap = std::function<std::string(std::string_view line)>;

    LinePrinter(Wrap wrap, Sink sink) : wrap_(std::move(wrap)), sink_(std::move(sink)) {}

    void take(std::string_view bytes);
    // The unfinished line, if there is one.
    void finish();

  private:
    Wrap wrap_;
    Sink sink_;
    std::string unfinished_;
};

} // namespace keepd::ctl
