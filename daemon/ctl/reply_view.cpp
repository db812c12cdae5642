#include "daemon/ctl/reply_view.hpp"

#include <cstdint>
#include <nlohmann/json.hpp>

#include "daemon/ctl/json_read.hpp"
#include "daemon/ctl/text_width.hpp"

namespace keepd::ctl {
namespace {

using nlohmann::json;

std::string image_text(const json& image) {
    std::string text = text_of(image, "version");
    if (const std::string build = text_of(image, "build_id"); !build.empty()) {
        text += " (build " + build.substr(0, 12) + ")";
    }
    return text;
}

std::string programs_text(std::int64_t count) {
    return std::to_string(count) + (count == 1 ? " program" : " programs");
}

} // namespace

std::string results_text(const json& reply, bool only_good) {
    std::string text;
    for (const json& result : list_of(reply, "results")) {
        if (only_good && !flag_of(result, "ok")) continue;
        std::string what = text_of(result, "text");
        if (!flag_of(result, "done")) what = "asked";
        text += printable(text_of(result, "name") + ": " + what) + "\n";
    }
    return text;
}

std::string plan_text(const json& reply) {
    const json& plan = object_of(reply, "plan");
    std::string text;
    for (const std::string& line : texts_of(plan, "text"))
        text += printable(line) + "\n";
    const bool later =
        plan.contains("programs") && list_of(plan, "programs").empty() && list_of(plan, "daemon").empty();
    if (later && !text.empty()) return text; // what an upgrade held back
    const std::string untouched = programs_text(number_of(plan, "untouched").value_or(0)) + " untouched\n";
    return text.empty() ? "nothing changes, " + untouched : text + untouched;
}

std::string upgrade_text(const json& reply) {
    if (!flag_of(reply, "replaced")) return printable(text_of(reply, "text")) + "\n";
    return printable("upgraded: " + image_text(object_of(reply, "from")) + " -> " + image_text(object_of(reply, "to")) +
                     ", generation " + std::to_string(number_of(reply, "generation").value_or(0)) + ", " +
                     programs_text(number_of(reply, "untouched").value_or(0)) + " untouched") +
           "\n";
}

std::string event_text(const json& event, const Look& look) {
    const std::string program = text_of(event, "program");
    const std::string level = text_of(event, "level");
    const Color color = level == "error" ? Color::red : level == "warning" ? Color::yellow : Color::none;
    const std::string who = program.empty() ? "keepd: " + text_of(event, "kind") : program;
    return painted(text_of(event, "at"), Color::dim, look) + " " +
           painted(printable(who + ": " + text_of(event, "text")), color, look) + "\n";
}

} // namespace keepd::ctl
