// Strange configs: whatever the bytes are, the parser gives a plan or faults, and every fault points into the text.
// A byte 0x1E ends the main file and begins an included one.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "tests/config/hermetic_facts.hpp"

using namespace keepd::config;

namespace {

const std::string main_file = "/etc/keepd/keepd.json";
const std::string included_file = "/etc/keepd/conf.d/fuzz.json";

void require(bool holds, const char* what, const Fault* fault = nullptr) {
    if (holds) return;
    std::fprintf(stderr, "%s: %s\n", what, fault != nullptr ? to_text(*fault).c_str() : "");
    std::abort();
}

// Line and column of a fault lie in the text, the end of a line included.
bool lies_in(const Fault& fault, std::string_view text) {
    for (std::size_t line = 1; line < fault.line; ++line) {
        const std::size_t end = text.find('\n');
        if (end == std::string_view::npos) return false;
        text.remove_prefix(end + 1);
    }
    return fault.column >= 1 && fault.column <= std::min(text.find('\n'), text.size()) + 1;
}

// Ten thousand copies of a program are right, but slow to make again and again.
bool has_many_instances(std::string_view text) {
    constexpr std::size_t largest = 2; // digits
    const std::size_t at = text.find("instances");
    if (at == std::string_view::npos) return false;
    std::size_t digits = 0;
    for (const char c : text.substr(at)) {
        digits = c >= '0' && c <= '9' ? digits + 1 : 0;
        if (digits > largest) return true;
    }
    return false;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    if (has_many_instances(input)) return 0;
    const std::size_t split = std::min(input.find('\x1E'), input.size());
    const testing::Files files{{main_file, std::string(input.substr(0, split))},
                               {included_file, std::string(input.substr(std::min(split + 1, input.size())))}};
    const auto plan = load(main_file, testing::hermetic_facts(files));
    if (plan) {
        for (const auto& [name, program] : plan->programs) {
            require(program.name == name, "a program under another name");
            require(!program.argv.empty() && program.executable.starts_with('/'), "a program without a command");
            require(!program.stop.sequence.empty(), "a program that cannot be stopped");
            require(program.out.kind != Output::Kind::file || program.out.path.starts_with('/'),
                    "a log without a path");
        }
        return 0;
    }
    require(!plan.error().empty(), "neither a plan nor a fault");
    for (const Fault& fault : plan.error()) {
        require(files.contains(fault.file), "a fault in no file", &fault);
        require(lies_in(fault, files.at(fault.file)), "a fault outside of the text", &fault);
        require(!fault.message.empty(), "a fault without words", &fault);
        require(fault.message != "this is not JSON", "a syntax error that nothing explains", &fault);
        require(to_text(fault).find('\n') == std::string::npos, "a fault of two lines", &fault);
    }
    return 0;
}
