#include "config/program.hpp"

#include <algorithm>
#include <cstdint>

namespace keepd::config {

namespace {

void check_kind(Reader& in, const ProgramDraft& draft) {
    if (draft.program.type != Type::oneshot || !draft.policy_at) return;
    if (draft.program.restart.policy != RestartPolicy::always) return;
    const bool at_type =
        draft.policy_at.inherited && !draft.type_at.inherited; // the program's own text, not `defaults`
    in.faults.at(at_type ? draft.type_at.top : draft.policy_at.top,
                 "a oneshot cannot have the restart policy \"always\": set \"no\", \"on-failure\" or \"on-abnormal\"");
}

// Makes argv what is executed. False if there is nothing to execute.
bool settle_command(Reader& in, ProgramDraft& draft, const Value& at) {
    const Value& command = draft.command_at;
    if (!command) {
        in.faults.at_key(at, "'command' is missing");
        return false;
    }
    const bool is_text = command->kind == Kind::string;
    if (draft.program.shell && !is_text) {
        if (command->kind == Kind::array)
            in.faults.at(command, "with \"shell\": true the command is one string, not a list");
        return false;
    }
    if (!draft.program.shell && is_text) {
        in.faults.at(command, "a command in one string needs \"shell\": true; without a shell it is a list of strings");
        return false;
    }
    if (draft.program.argv.empty() || draft.program.argv.front().empty()) return false; // reported by its field
    if (draft.program.shell) draft.program.argv = {"/bin/sh", "-c", std::move(draft.program.argv.front())};
    return true;
}

// `user` and `group` as ids. A user by number needs no entry in the user database if the group is given.
void settle_identity(Reader& in, ProgramDraft& draft) {
    if (draft.user.empty() && draft.group.empty()) return;
    std::optional<std::uint32_t> gid;
    if (!draft.group.empty()) {
        gid = in.host.group(draft.group);
        if (!gid) gid = as_id(draft.group);
        if (!gid) {
            in.faults.at(draft.group_at, "no such group " + in_quotes(draft.group));
            return;
        }
    }
    const bool own_user = draft.user.empty();
    const std::string& user = own_user ? std::to_string(in.host.facts.uid) : draft.user;
    Identity identity;
    if (const auto& names = in.host.user(user)) {
        identity = {names->uid, names->gid, names->groups, names->name, names->home, names->shell};
    } else if (const auto uid = as_id(user)) {
        if (!gid) {
            in.faults.at(draft.user_at, "user " + user + " is not in the user database: 'group' must be given too");
            return;
        }
        identity = {*uid, *gid, {}, "", "/", "/bin/sh"};
    } else {
        in.faults.at(draft.user_at, "no such user " + in_quotes(user));
        return;
    }
    if (gid) {
        // The given group takes the place of the user's own, as in a systemd unit.
        std::erase(identity.groups, identity.gid);
        identity.gid = *gid;
        if (std::ranges::find(identity.groups, *gid) == identity.groups.end()) identity.groups.push_back(*gid);
    }
    draft.program.identity = std::move(identity);
}

bool has_templates(std::string_view text) {
    return text.find('{') != std::string_view::npos;
}

void expand_all(Program& program) {
    const std::string instance = std::to_string(program.instance == 0 ? 1 : program.instance);
    const auto in_place = [&](std::string& text) {
        if (has_templates(text)) text = expand(text, program.name, instance);
    };
    for (std::string& argument : program.argv)
        in_place(argument);
    for (auto& [name, value] : program.environment)
        if (value) in_place(*value);
    for (EnvFile& file : program.env_files)
        in_place(file.path);
    in_place(program.working_dir);
    in_place(program.description);
    in_place(program.out.path);
    in_place(program.err.path);
}

void look_up_executable(Reader& in, Program& program, const Value& at) {
    const std::string& command = program.argv.front();
    if (is_relative_path(command)) return; // reported by its field
    const auto& found = in.host.executable(command);
    if (found)
        program.executable = *found;
    else
        in.faults.at(at, "cannot execute " + in_quotes(command) + ": " + found.error());
}

// The path of a stream that goes to a file. keepd makes its own log_dir; any other directory must be there.
void settle_path(Reader& in, Output& output, const Program& program, const std::string& log_dir, const Value& at) {
    if (output.kind != Output::Kind::file) return;
    if (output.path.empty()) {
        output.path = log_dir + "/" + program.name + ".log";
        return;
    }
    if (output.path.starts_with(log_dir + "/")) return;
    const std::size_t slash = output.path.rfind('/');
    const std::string directory = slash == 0 ? "/" : output.path.substr(0, slash);
    if (const auto& why = in.host.directory(directory))
        in.faults.at(at, "directory " + in_quotes(directory) + ": " + *why);
}

Finished finish_instance(Reader& in, Program program, const ProgramDraft& draft, const Value& at,
                         const std::string& log_dir, bool runnable) {
    expand_all(program);
    if (runnable)
        look_up_executable(in, program,
                           draft.command_at->kind == Kind::array
                               ? draft.command_at.child(draft.command_at->children.front())
                               : draft.command_at);
    if (draft.working_dir_at)
        if (const auto& why = in.host.directory(program.working_dir))
            in.faults.at(draft.working_dir_at, "directory " + in_quotes(program.working_dir) + ": " + *why);
    Finished finished{{}, draft.out.path_at ? draft.out.path_at : at, draft.err.path_at ? draft.err.path_at : at};
    settle_path(in, program.out, program, log_dir, finished.out_at);
    settle_path(in, program.err, program, log_dir, finished.err_at);
    finished.program = std::move(program);
    return finished;
}

} // namespace

std::string expand(std::string_view text, std::string_view name, std::string_view instance) {
    constexpr std::string_view name_word = "{name}";
    constexpr std::string_view instance_word = "{instance}";
    std::string result;
    result.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
        const bool of_shell = at > 0 && text[at - 1] == '$';
        const std::string_view rest = text.substr(at);
        if (!of_shell && rest.starts_with(name_word)) {
            result += name;
            at += name_word.size();
        } else if (!of_shell && rest.starts_with(instance_word)) {
            result += instance;
            at += instance_word.size();
        } else {
            result += text[at++];
        }
    }
    result.shrink_to_fit();
    return result;
}

std::vector<Finished> finish_program(Reader& in, ProgramDraft draft, const Value& at, const std::string& log_dir) {
    Program& program = draft.program;
    program.base = at->key;
    program.out = draft.out.output;
    program.err = draft.err.output;
    if (program.type == Type::oneshot && !draft.policy_at) program.restart.policy = RestartPolicy::no;
    check_kind(in, draft);
    const bool runnable = settle_command(in, draft, at);
    settle_identity(in, draft);

    std::vector<Finished> instances;
    if (draft.instances == 1) {
        program.name = program.base;
        instances.push_back(finish_instance(in, std::move(program), draft, at, log_dir, runnable));
        return instances;
    }
    instances.reserve(static_cast<std::size_t>(draft.instances));
    for (int instance = 1; instance <= draft.instances; ++instance) {
        Program copy = program;
        copy.instance = instance;
        copy.name = copy.base + "@" + std::to_string(instance);
        instances.push_back(finish_instance(in, std::move(copy), draft, at, log_dir, runnable));
    }
    return instances;
}

} // namespace keepd::config
