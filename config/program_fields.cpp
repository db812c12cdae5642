#include "config/program_fields.hpp"

#include <cstdint>

#include "config/restart_fields.hpp"
#include "config/stop_fields.hpp"

namespace keepd::config {

namespace {

constexpr int most_instances = 10'000;

constexpr Word<Type> types[] = {{"simple", Type::simple}, {"oneshot", Type::oneshot}};

// A list of strings, or for a shell one string. Which of the two it may be is known once `shell` is.
void read_command(Reader& in, const Slot& slot, ProgramDraft& draft) {
    draft.command_at = slot.top;
    std::vector<std::string>& argv = draft.program.argv;
    if (slot->kind == Kind::string) {
        in.text_not_empty(slot.top, argv.emplace_back(), "a command");
        return;
    }
    if (!in.is_list(slot.top, "a list of strings such as [\"/usr/sbin/nginx\", \"-g\", \"daemon off;\"]", 1)) return;
    argv.reserve(slot->children.size());
    for (const Node& element : slot->children) {
        const Value value = slot.top.child(element);
        const bool first = argv.empty();
        std::string& argument = argv.emplace_back();
        if (!first)
            in.text(value, argument);
        else if (in.text_not_empty(value, argument, "a command") && is_relative_path(argument))
            in.faults.at(value, in_quotes(argument) +
                                    " is a relative path: write an absolute one, or a bare name to be found in PATH");
    }
}

bool is_variable_name(std::string_view name) {
    return !name.empty() && name.find('=') == std::string_view::npos && name.find('\0') == std::string_view::npos;
}

// Values over those of `defaults`, name by name. A null is a value here: it removes the variable.
void read_environment(Reader& in, const Slot& slot, ProgramDraft& draft) {
    if (slot->kind != Kind::object) {
        in.expected(slot.top, "an object of variables");
        return;
    }
    auto& environment = draft.program.environment;
    const auto read_layer = [&](const Value& layer) {
        for (const Node& node : layer->children) {
            const Value member = layer.child(node);
            if (!is_variable_name(member->key))
                in.faults.at_key(member,
                                 in_quotes(member->key) + " is not a variable's name: it is empty or holds '='");
            std::optional<std::string> value;
            if (member->kind != Kind::null && !in.text(member, value.emplace(), "a string, or null to remove it"))
                continue;
            environment.emplace(std::string(member->key), std::move(value)); // what is there already wins
        }
    };
    read_layer(slot.top);
    if (slot.under && slot.under->kind == Kind::object) read_layer(slot.under);
}

void read_env_file(Reader& in, const Slot& slot, ProgramDraft& draft) {
    if (!in.is_list(slot.top, "a list of files")) return;
    auto& files = draft.program.env_files;
    files.reserve(slot->children.size());
    for (const Node& node : slot->children) {
        std::string path;
        if (!in.text(slot.top.child(node), path, "a file's path")) continue;
        const bool optional = path.starts_with('-');
        if (optional) path.erase(0, 1);
        if (path.starts_with('/') && !path.ends_with('/'))
            files.push_back({std::move(path), optional});
        else
            in.expected(slot.top.child(node), "an absolute path, with a '-' before it if the file may be absent");
    }
}

void read_env_inherit(Reader& in, const Slot& slot, ProgramDraft& draft) {
    EnvInherit& inherit = draft.program.env_inherit;
    if (slot->kind == Kind::boolean) {
        inherit.all = slot->truth;
        inherit.names.clear();
        return;
    }
    if (!in.is_list(slot.top, "true, false or a list of variables")) return;
    std::vector<std::string> names;
    names.reserve(slot->children.size());
    for (const Node& node : slot->children) {
        const Value value = slot.top.child(node);
        if (!in.text_not_empty(value, names.emplace_back(), "a variable's name")) continue;
        if (!is_variable_name(names.back())) in.expected(value, "a variable's name without '='");
    }
    inherit.names = std::move(names);
}

constexpr Word<Output::Kind> out_words[] = {{"null", Output::Kind::null}, {"inherit", Output::Kind::inherit}};
constexpr Word<Output::Kind> err_words[] = {
    {"null", Output::Kind::null}, {"inherit", Output::Kind::inherit}, {"stdout", Output::Kind::to_stdout}};

constexpr Field<OutputDraft> output_fields[] = {
    {"path",
     [](Reader& in, const Slot& slot, OutputDraft& draft) {
         if (in.file_path(slot.top, draft.output.path)) draft.path_at = slot.top;
     }},
    {"max_size", [](Reader& in, const Slot& slot, OutputDraft& draft) { in.size(slot.top, draft.output.max_size); }},
    {"max_files", [](Reader& in, const Slot& slot,
                     OutputDraft& draft) { in.integer<std::uint32_t>(slot.top, 1, 100'000, draft.output.max_files); }},
};
constexpr auto output_key_array = keys_of(output_fields);
std::span<const std::string_view> output_keys() {
    return output_key_array;
}

void read_output(Reader& in, const Slot& slot, OutputDraft& draft, std::span<const Word<Output::Kind>> words) {
    if (slot->kind == Kind::object) {
        draft.output.kind = Output::Kind::file;
        read_object(in, slot, output_fields, draft, "");
        return;
    }
    for (const auto& [word, kind] : words)
        if (slot->kind == Kind::string && slot->text == word) {
            draft.output.kind = kind;
            return;
        }
    if (slot->kind == Kind::string && slot->text.starts_with('/')) {
        in.faults.at(slot.top, "expected an object, not " + describe(slot.top) +
                                   ": write {\"path\": " + describe(slot.top) + "}");
        return;
    }
    std::vector<std::string_view> known;
    for (const auto& word : words)
        known.push_back(word.word);
    in.unknown_word(slot.top, known, "an object with 'path', 'max_size' and 'max_files', or ");
}

bool read_limit_value(Reader& in, const Value& value, std::uint64_t& target) {
    if (value->kind == Kind::string && value->text == "infinity") {
        target = Limit::infinity;
        return true;
    }
    if (value->kind == Kind::number && value->whole && value->integer >= 0) {
        target = static_cast<std::uint64_t>(value->integer);
        return true;
    }
    in.expected(value, "a whole number of at least 0 or \"infinity\"");
    return false;
}

void read_limit(Reader& in, const Slot& slot, Limit& limit) {
    if (slot->kind != Kind::array) {
        if (slot->kind == Kind::object)
            in.expected(slot.top, "a number, \"infinity\" or [soft, hard]");
        else if (read_limit_value(in, slot.top, limit.soft))
            limit.hard = limit.soft;
        return;
    }
    if (slot->children.size() != 2) {
        in.faults.at(slot.top, "expected [soft, hard], not a list of " + std::to_string(slot->children.size()));
        return;
    }
    const Value soft = slot.top.child(slot->children[0]);
    const bool both = static_cast<int>(read_limit_value(in, soft, limit.soft)) &
                      static_cast<int>(read_limit_value(in, slot.top.child(slot->children[1]), limit.hard));
    if (both && limit.soft > limit.hard) in.faults.at(soft, "the soft limit is above the hard one");
}

using Limits = std::map<std::string, Limit>;

// One field per resource of getrlimit(2); the key is its name in small letters, without RLIMIT_.
#define KEEPD_LIMIT(name)                                                                                              \
    Field<Limits> {                                                                                                    \
        name, [](Reader& in, const Slot& slot, Limits& limits) { read_limit(in, slot, limits[name]); }                 \
    }
constexpr Field<Limits> limit_fields[] = {
    KEEPD_LIMIT("as"),     KEEPD_LIMIT("core"),   KEEPD_LIMIT("cpu"),        KEEPD_LIMIT("data"),
    KEEPD_LIMIT("fsize"),  KEEPD_LIMIT("locks"),  KEEPD_LIMIT("memlock"),    KEEPD_LIMIT("msgqueue"),
    KEEPD_LIMIT("nice"),   KEEPD_LIMIT("nofile"), KEEPD_LIMIT("nproc"),      KEEPD_LIMIT("rss"),
    KEEPD_LIMIT("rtprio"), KEEPD_LIMIT("rttime"), KEEPD_LIMIT("sigpending"), KEEPD_LIMIT("stack"),
};
#undef KEEPD_LIMIT
constexpr auto limit_key_array = keys_of(limit_fields);
std::span<const std::string_view> limit_keys() {
    return limit_key_array;
}

void read_death_signal(Reader& in, const Slot& slot, ProgramDraft& draft) {
    if (slot->kind == Kind::string && slot->text == "none")
        draft.program.parent_death_signal = 0;
    else
        in.signal(slot.top, draft.program.parent_death_signal);
}

constexpr Field<ProgramDraft> program_fields[] = {
    {"command", read_command},
    {"shell", [](Reader& in, const Slot& slot, ProgramDraft& draft) { in.boolean(slot.top, draft.program.shell); }},
    {"description",
     [](Reader& in, const Slot& slot, ProgramDraft& draft) { in.text(slot.top, draft.program.description); }},
    {"type",
     [](Reader& in, const Slot& slot, ProgramDraft& draft) {
         draft.type_at = slot;
         in.word<Type>(slot.top, types, draft.program.type);
     }},
    {"autostart",
     [](Reader& in, const Slot& slot, ProgramDraft& draft) { in.boolean(slot.top, draft.program.autostart); }},
    {"working_dir",
     [](Reader& in, const Slot& slot, ProgramDraft& draft) {
         if (in.path(slot.top, draft.program.working_dir)) draft.working_dir_at = slot.top;
     }},
    {"environment", read_environment},
    {"env_file", read_env_file},
    {"env_inherit", read_env_inherit},
    {"user",
     [](Reader& in, const Slot& slot, ProgramDraft& draft) {
         if (in.name_or_id(slot.top, draft.user, "a user")) draft.user_at = slot.top;
     }},
    {"group",
     [](Reader& in, const Slot& slot, ProgramDraft& draft) {
         if (in.name_or_id(slot.top, draft.group, "a group")) draft.group_at = slot.top;
     }},
    {"umask", [](Reader& in, const Slot& slot, ProgramDraft& draft) { in.mode(slot.top, draft.program.umask); }},
    {"instances", [](Reader& in, const Slot& slot,
                     ProgramDraft& draft) { in.integer(slot.top, 1, most_instances, draft.instances); }},
    {"restart",
     [](Reader& in, const Slot& slot, ProgramDraft& draft) {
         read_restart(in, slot, draft.program.restart, draft.policy_at);
     },
     restart_keys},
    {"stop", [](Reader& in, const Slot& slot, ProgramDraft& draft) { read_stop(in, slot, draft.program.stop); },
     stop_keys},
    {"stdout", [](Reader& in, const Slot& slot, ProgramDraft& draft) { read_output(in, slot, draft.out, out_words); },
     output_keys},
    {"stderr", [](Reader& in, const Slot& slot, ProgramDraft& draft) { read_output(in, slot, draft.err, err_words); }},
    {"limits",
     [](Reader& in, const Slot& slot, ProgramDraft& draft) {
         read_object(in, slot, limit_fields, draft.program.limits, "an object of limits such as {\"nofile\": 65536}");
     },
     limit_keys},
    {"nice", [](Reader& in, const Slot& slot,
                ProgramDraft& draft) { in.integer(slot.top, -20, 19, draft.program.nice.emplace()); }},
    {"oom_score_adjust",
     [](Reader& in, const Slot& slot, ProgramDraft& draft) {
         in.integer(slot.top, -1000, 1000, draft.program.oom_score_adjust.emplace());
     }},
    {"no_new_privileges",
     [](Reader& in, const Slot& slot, ProgramDraft& draft) { in.boolean(slot.top, draft.program.no_new_privileges); }},
    {"parent_death_signal", read_death_signal},
};

} // namespace

bool is_relative_path(std::string_view command) {
    return !command.starts_with('/') && command.find('/') != std::string_view::npos;
}

void read_program_fields(Reader& in, const Slot& slot, ProgramDraft& draft) {
    draft.err.output.kind = Output::Kind::to_stdout;
    read_object(in, slot, program_fields, draft, "an object with the program's fields");
}

} // namespace keepd::config
