#include "config/restart_fields.hpp"

#include <limits>

namespace keepd::config {

namespace {

struct RestartDraft {
    Restart& restart;
    Slot& policy_at;
};

constexpr Word<RestartPolicy> policies[] = {{"no", RestartPolicy::no},
                                            {"always", RestartPolicy::always},
                                            {"on-failure", RestartPolicy::on_failure},
                                            {"on-abnormal", RestartPolicy::on_abnormal}};
constexpr Word<StartLimitAction> actions[] = {
    {"slow", StartLimitAction::slow}, {"fail", StartLimitAction::fail}, {"shutdown", StartLimitAction::shutdown}};

// A number is an exit code, a string a signal: "15" as a string would be one that looks like the other.
void read_exit_matches(Reader& in, const Slot& slot, std::vector<ExitMatch>& target) {
    constexpr std::string_view wanted = "an exit code from 0 to 255 or a signal's name such as \"SIGTERM\"";
    if (!in.is_list(slot.top, "a list of exit codes and signals such as [0, \"SIGTERM\"]")) return;
    std::vector<ExitMatch> matches;
    matches.reserve(slot->children.size());
    for (const Node& node : slot->children) {
        const Value value = slot.top.child(node);
        ExitMatch match;
        if (node.kind == Kind::number && node.whole && node.integer >= 0 && node.integer <= 255) {
            match.value = static_cast<int>(node.integer);
        } else if (node.kind == Kind::string && node.text.find_first_not_of("0123456789") != std::string_view::npos) {
            match.kind = ExitMatch::Kind::signal;
            if (!in.signal(value, match.value)) continue;
        } else {
            in.expected(value, wanted);
            continue;
        }
        matches.push_back(match);
    }
    target = std::move(matches);
}

constexpr Field<RestartDraft> restart_fields[] = {
    {"policy",
     [](Reader& in, const Slot& slot, RestartDraft& draft) {
         draft.policy_at = slot;
         in.word<RestartPolicy>(slot.top, policies, draft.restart.policy);
     }},
    {"delay", [](Reader& in, const Slot& slot, RestartDraft& draft) { in.duration(slot.top, draft.restart.delay); }},
    {"backoff_factor",
     [](Reader& in, const Slot& slot, RestartDraft& draft) {
         in.number(slot.top, 1, std::numeric_limits<double>::infinity(), draft.restart.backoff_factor);
     }},
    {"max_delay",
     [](Reader& in, const Slot& slot, RestartDraft& draft) { in.duration(slot.top, draft.restart.max_delay); }},
    {"jitter",
     [](Reader& in, const Slot& slot, RestartDraft& draft) { in.number(slot.top, 0, 1, draft.restart.jitter); }},
    {"reset_after",
     [](Reader& in, const Slot& slot, RestartDraft& draft) { in.duration(slot.top, draft.restart.reset_after); }},
    {"start_limit_burst",
     [](Reader& in, const Slot& slot, RestartDraft& draft) {
         in.integer(slot.top, 0, 1'000'000, draft.restart.start_limit_burst);
     }},
    {"start_limit_interval",
     [](Reader& in, const Slot& slot, RestartDraft& draft) {
         in.duration(slot.top, draft.restart.start_limit_interval, Zero::refused);
     }},
    {"start_limit_action",
     [](Reader& in, const Slot& slot, RestartDraft& draft) {
         in.word<StartLimitAction>(slot.top, actions, draft.restart.start_limit_action);
     }},
    {"slow_delay", [](Reader& in, const Slot& slot,
                      RestartDraft& draft) { in.duration(slot.top, draft.restart.slow_delay, Zero::refused); }},
    {"success_exit_codes", [](Reader& in, const Slot& slot,
                              RestartDraft& draft) { read_exit_matches(in, slot, draft.restart.success_exit_codes); }},
    {"prevent_exit_codes", [](Reader& in, const Slot& slot,
                              RestartDraft& draft) { read_exit_matches(in, slot, draft.restart.prevent_exit_codes); }},
    {"force_exit_codes", [](Reader& in, const Slot& slot,
                            RestartDraft& draft) { read_exit_matches(in, slot, draft.restart.force_exit_codes); }},
};
constexpr auto restart_key_array = keys_of(restart_fields);

} // namespace

void read_restart(Reader& in, const Slot& slot, Restart& restart, Slot& policy_at) {
    RestartDraft draft{restart, policy_at};
    read_object(in, slot, restart_fields, draft, "an object such as {\"policy\": \"on-failure\", \"delay\": \"1s\"}");
}

std::span<const std::string_view> restart_keys() {
    return restart_key_array;
}

} // namespace keepd::config
