#include "config/stop_fields.hpp"

namespace keepd::config {

namespace {

constexpr Word<KillMode> kill_modes[] = {
    {"tree", KillMode::tree}, {"group", KillMode::group}, {"process", KillMode::process}};

struct StopDraft {
    KillMode kill_mode = KillMode::tree;
    StopStep only;               // signal and timeout
    std::vector<StopStep> steps; // sequence
    Slot signal_or_timeout;      // the nearer of the two
    Slot sequence;
};

void note_only(const Slot& slot, StopDraft& draft) {
    if (!draft.signal_or_timeout || draft.signal_or_timeout.inherited) draft.signal_or_timeout = slot;
}

void read_sequence(Reader& in, const Slot& slot, StopDraft& draft) {
    draft.sequence = slot;
    if (!in.is_list(slot.top, "a list of [signal, wait] such as [[\"SIGINT\", \"5s\"], [\"SIGTERM\", \"10s\"]]", 1))
        return;
    draft.steps.reserve(slot->children.size());
    for (const Node& node : slot->children) {
        const Value pair = slot.top.child(node);
        if (node.kind != Kind::array || node.children.size() != 2) {
            in.faults.at(pair, "expected [signal, wait] such as [\"SIGTERM\", \"10s\"], not " +
                                   (node.kind == Kind::array ? "a list of " + std::to_string(node.children.size())
                                                             : describe(pair)));
            continue;
        }
        StopStep& step = draft.steps.emplace_back();
        in.signal(pair.child(node.children[0]), step.signal);
        in.duration(pair.child(node.children[1]), step.wait);
    }
}

constexpr Field<StopDraft> stop_fields[] = {
    {"signal",
     [](Reader& in, const Slot& slot, StopDraft& draft) {
         note_only(slot, draft);
         in.signal(slot.top, draft.only.signal);
     }},
    {"timeout",
     [](Reader& in, const Slot& slot, StopDraft& draft) {
         note_only(slot, draft);
         in.duration(slot.top, draft.only.wait);
     }},
    {"sequence", read_sequence},
    {"kill_mode",
     [](Reader& in, const Slot& slot, StopDraft& draft) { in.word<KillMode>(slot.top, kill_modes, draft.kill_mode); }},
};
constexpr auto stop_key_array = keys_of(stop_fields);

} // namespace

void read_stop(Reader& in, const Slot& slot, Stop& stop) {
    StopDraft draft;
    if (!read_object(in, slot, stop_fields, draft, "an object such as {\"signal\": \"SIGINT\", \"timeout\": \"30s\"}"))
        return;
    stop.kill_mode = draft.kill_mode;
    const bool both = draft.sequence && draft.signal_or_timeout;
    if (both && draft.sequence.inherited == draft.signal_or_timeout.inherited)
        in.faults.at(draft.sequence.top, "'sequence' replaces 'signal' and 'timeout': leave one or the other out");
    const bool by_sequence = draft.sequence && !(both && draft.sequence.inherited);
    if (by_sequence && !draft.steps.empty())
        stop.sequence = std::move(draft.steps);
    else
        stop.sequence.front() = draft.only;
}

std::span<const std::string_view> stop_keys() {
    return stop_key_array;
}

} // namespace keepd::config
