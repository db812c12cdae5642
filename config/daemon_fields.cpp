#include "config/daemon_fields.hpp"

#include "config/paths.hpp"

namespace keepd::config {

namespace {

constexpr Word<LogLevel> levels[] = {
    {"debug", LogLevel::debug}, {"info", LogLevel::info}, {"warning", LogLevel::warning}, {"error", LogLevel::error}};

constexpr Field<MainDraft> log_fields[] = {
    {"level", [](Reader& in, const Slot& slot,
                 MainDraft& draft) { in.word<LogLevel>(slot.top, levels, draft.daemon.log.level); }},
    {"target",
     [](Reader& in, const Slot& slot, MainDraft& draft) {
         constexpr std::string_view words[] = {"auto", "journal", "stderr"};
         std::string& target = draft.daemon.log.target;
         if (slot->kind == Kind::string && slot->text.starts_with('/')) {
             if (in.file_path(slot.top, target)) draft.log_target_at = slot.top;
             return;
         }
         for (const std::string_view word : words)
             if (slot->kind == Kind::string && slot->text == word) {
                 target = word;
                 return;
             }
         in.unknown_word(slot.top, words, "an absolute path, ");
     }},
};

constexpr Field<MainDraft> control_fields[] = {
    {"path",
     [](Reader& in, const Slot& slot, MainDraft& draft) {
         if (in.file_path(slot.top, draft.daemon.control.path)) draft.control_path_at = slot.top;
     }},
    {"mode", [](Reader& in, const Slot& slot, MainDraft& draft) { in.mode(slot.top, draft.daemon.control.mode); }},
    {"group",
     [](Reader& in, const Slot& slot, MainDraft& draft) {
         std::string group;
         if (!in.name_or_id(slot.top, group, "a group")) return;
         draft.daemon.control.group = in.host.group(group);
         if (!draft.daemon.control.group) in.faults.at(slot.top, "no such group " + in_quotes(group));
     }},
};

constexpr Field<MainDraft> upgrade_fields[] = {
    {"binary",
     [](Reader& in, const Slot& slot, MainDraft& draft) { in.file_path(slot.top, draft.daemon.upgrade.binary); }},
    {"watch_binary",
     [](Reader& in, const Slot& slot, MainDraft& draft) { in.boolean(slot.top, draft.daemon.upgrade.watch_binary); }},
    {"rehearsal_timeout",
     [](Reader& in, const Slot& slot, MainDraft& draft) {
         in.duration(slot.top, draft.daemon.upgrade.rehearsal_timeout, Zero::refused);
     }},
    {"commit_timeout",
     [](Reader& in, const Slot& slot, MainDraft& draft) {
         in.duration(slot.top, draft.daemon.upgrade.commit_timeout, Zero::refused);
     }},
    {"min_interval",
     [](Reader& in, const Slot& slot, MainDraft& draft) { in.duration(slot.top, draft.daemon.upgrade.min_interval); }},
};

constexpr auto log_key_array = keys_of(log_fields);
constexpr auto control_key_array = keys_of(control_fields);
constexpr auto upgrade_key_array = keys_of(upgrade_fields);

constexpr Field<MainDraft> main_fields[] = {
    {"version",
     [](Reader& in, const Slot& slot, MainDraft&) {
         if (slot->kind != Kind::number || !slot->whole || slot->integer != 1)
             in.expected(slot.top, "1, the version of the config's language that this keepd reads");
     }},
    {"include", [](Reader&, const Slot& slot, MainDraft& draft) { draft.include = slot.top; }},
    {"defaults", [](Reader&, const Slot& slot, MainDraft& draft) { draft.defaults = slot.top; }},
    {"programs", [](Reader&, const Slot& slot, MainDraft& draft) { draft.programs = slot.top; }},
    {"log",
     [](Reader& in, const Slot& slot, MainDraft& draft) {
         read_object(in, slot, log_fields, draft, "an object such as {\"level\": \"info\", \"target\": \"journal\"}");
     },
     [] { return std::span<const std::string_view>(log_key_array); }},
    {"log_dir", [](Reader& in, const Slot& slot, MainDraft& draft) { in.path(slot.top, draft.daemon.log_dir); }},
    {"state_dir", [](Reader& in, const Slot& slot, MainDraft& draft) { in.path(slot.top, draft.daemon.state_dir); }},
    {"runtime_dir",
     [](Reader& in, const Slot& slot, MainDraft& draft) {
         if (in.path(slot.top, draft.daemon.runtime_dir)) draft.runtime_dir_at = slot.top;
     }},
    {"control",
     [](Reader& in, const Slot& slot, MainDraft& draft) {
         read_object(in, slot, control_fields, draft, "an object such as {\"mode\": \"0660\", \"group\": \"adm\"}");
     },
     [] { return std::span<const std::string_view>(control_key_array); }},
    {"shutdown_timeout",
     [](Reader& in, const Slot& slot, MainDraft& draft) { in.duration(slot.top, draft.daemon.shutdown_timeout); }},
    {"subreaper", [](Reader& in, const Slot& slot, MainDraft& draft) { in.boolean(slot.top, draft.daemon.subreaper); }},
    {"upgrade",
     [](Reader& in, const Slot& slot, MainDraft& draft) {
         read_object(in, slot, upgrade_fields, draft, "an object such as {\"rehearsal_timeout\": \"10s\"}");
     },
     [] { return std::span<const std::string_view>(upgrade_key_array); }},
};
constexpr auto main_key_array = keys_of(main_fields);

} // namespace

void read_main_fields(Reader& in, const Value& root, MainDraft& draft) {
    read_object(in, Slot{root, {}, false}, main_fields, draft, "an object, {...}");
}

std::span<const std::string_view> main_keys() {
    return main_key_array;
}

void finish_daemon(Reader& in, const Value& root, MainDraft& draft) {
    constexpr std::size_t longest_socket_path = 107; // sun_path of unix(7), less its NUL
    Daemon& daemon = draft.daemon;
    const DefaultDirs dirs = default_dirs(in.host.facts);
    if (daemon.log_dir.empty()) daemon.log_dir = dirs.log;
    if (daemon.state_dir.empty()) daemon.state_dir = dirs.state;
    if (daemon.runtime_dir.empty()) daemon.runtime_dir = dirs.runtime;
    if (daemon.control.path.empty()) daemon.control.path = socket_in(daemon.runtime_dir);
    if (daemon.control.path.size() > longest_socket_path) {
        const Value place = draft.control_path_at ? draft.control_path_at : draft.runtime_dir_at;
        in.faults.at(place ? place : root, "the control socket's path " + in_quotes(daemon.control.path) + " has " +
                                               std::to_string(daemon.control.path.size()) + " bytes: at most " +
                                               std::to_string(longest_socket_path) + " fit");
    }
}

} // namespace keepd::config
