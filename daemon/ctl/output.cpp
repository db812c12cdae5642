#include "daemon/ctl/output.hpp"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "daemon/ctl/reply_view.hpp"
#include "daemon/ctl/text_width.hpp"

namespace keepd::ctl {

using nlohmann::json;

void print(std::string_view text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
}

void print_json(const json& value) {
    print(value.dump(2, ' ', false, json::error_handler_t::replace) + "\n");
}

ExitCode report(const Common& common, const CallError& error) {
    json parameters = json::parse(error.parameters, nullptr, false);
    if (!parameters.is_object()) parameters = json::object();
    // Some of several programs may have done well all the same.
    if (!common.json) print(results_text(parameters, true));
    std::string_view rest = error.text;
    for (const char* prefix = "keepctl: "; !rest.empty(); prefix = "         ") {
        const std::size_t end = std::min(rest.find('\n'), rest.size());
        std::fprintf(stderr, "%s%s\n", prefix, printable(rest.substr(0, end)).c_str());
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    if (common.json) {
        print_json({{"error", error.error},
                    {"message", error.text},
                    {"exit_code", static_cast<int>(error.code)},
                    {"parameters", std::move(parameters)}});
    }
    return error.code;
}

} // namespace keepd::ctl
