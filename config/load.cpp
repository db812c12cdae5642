#include "config/load.hpp"

#include <map>
#include <memory>
#include <set>

#include "config/daemon_fields.hpp"
#include "config/document.hpp"
#include "config/paths.hpp"
#include "config/streams.hpp"

namespace keepd::config {

namespace {

bool is_program_name(std::string_view name) {
    constexpr std::size_t longest = 64;
    const auto alphanumeric = [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    };
    if (name.empty() || name.size() > longest || !alphanumeric(name.front())) return false;
    for (const char c : name)
        if (!alphanumeric(c) && c != '_' && c != '.' && c != '-') return false;
    return true;
}

// One load: the files, then the programs in the order of the text, then the plan.
class Loader {
  public:
    explicit Loader(const Facts& facts) : facts_(facts), host_(facts), in_(faults_, host_) {}

    std::expected<Plan, std::vector<Fault>> run(const std::string& path) {
        const Document* main_file = read_main(path);
        if (main_file == nullptr) return std::unexpected(faults_.take());
        const Value root{main_file, &main_file->root()};

        MainDraft draft;
        draft.daemon.config_path = path;
        read_main_fields(in_, root, draft);
        finish_daemon(in_, root, draft);
        check_defaults(draft.defaults);
        gather_programs(draft.programs);
        if (draft.include) read_includes(draft.include, path);

        streams_.claim_own_log(draft.daemon.log.target, draft.log_target_at);
        look_for_log_directory(draft);
        Plan plan;
        for (const Value& program : programs_)
            add_program(plan, program, draft);
        streams_.check_rotated(faults_);
        if (!faults_.empty()) return std::unexpected(faults_.take());
        plan.daemon = std::move(draft.daemon);
        return plan;
    }

  private:
    // As for the programs' streams: keepd makes its own log_dir; any other directory must be there.
    void look_for_log_directory(const MainDraft& draft) {
        const std::string& target = draft.daemon.log.target;
        if (!draft.log_target_at || target.starts_with(draft.daemon.log_dir + "/")) return;
        const std::string directory = directory_of(target);
        if (const auto why = facts_.directory(directory))
            faults_.at(draft.log_target_at, "directory " + in_quotes(directory) + ": " + *why);
    }

    // Nothing: reported, as a fault of the file itself.
    const Document* read_main(const std::string& path) {
        faults_.enter(path);
        if (const auto why = facts_.distrust(path)) {
            faults_.add({path, 0, 0, "", *why});
            return nullptr;
        }
        auto text = facts_.read_file(path);
        if (!text) {
            faults_.add({path, 0, 0, "", text.error().message});
            return nullptr;
        }
        return parse(path, std::move(*text));
    }

    const Document* parse(const std::string& path, std::string text) {
        auto document = Document::parse(path, std::move(text));
        if (!document) {
            faults_.add(std::move(document.error()));
            return nullptr;
        }
        documents_.push_back(std::move(*document));
        const Document* parsed = documents_.back().get();
        for (const auto& [member, first] : parsed->duplicates()) {
            const Place place = parsed->place(first->key_at);
            faults_.at_key({parsed, member}, "duplicate key " + in_quotes(member->key) + ": it stands at " +
                                                 std::to_string(place.line) + ":" + std::to_string(place.column) +
                                                 " already");
        }
        return parsed;
    }

    // A fault in `defaults` is found once, here; the same fault seen through a program is not added again.
    void check_defaults(const Value& defaults) {
        if (!defaults) return;
        ProgramDraft scratch;
        read_program_fields(in_, Slot{defaults, {}, false}, scratch);
    }

    void gather_programs(const Value& programs) {
        if (!programs) return;
        if (programs->kind != Kind::object) {
            in_.expected(programs, "an object of programs by name");
            return;
        }
        for (const Node& node : programs->children) {
            const Value program = programs.child(node);
            if (!is_program_name(node.key))
                faults_.at_key(program, in_quotes(node.key) +
                                            " is no name for a program: expected 1 to 64 letters, digits, "
                                            "'_', '.' or '-', with a letter or a digit first");
            const auto [first, added] = names_.try_emplace(node.key, program);
            if (!added) {
                // Twice in one object is a duplicate key, and was reported as one.
                const Value& other = first->second;
                if (other.document == program.document) continue;
                const Place place = other.document->place(other->key_at);
                faults_.at_key(program, "program " + in_quotes(node.key) +
                                            " is there already: " + other.document->path() + ":" +
                                            std::to_string(place.line) + ":" + std::to_string(place.column));
                continue;
            }
            programs_.push_back(program);
        }
    }

    void read_includes(const Value& include, const std::string& main_path) {
        if (!in_.is_list(include, "a list of files or patterns such as [\"conf.d/*.json\"]")) return;
        std::set<std::string> seen{main_path};
        for (const Node& node : include->children) {
            const Value value = include.child(node);
            std::string pattern;
            if (!in_.text_not_empty(value, pattern, "a file or pattern")) continue;
            if (!pattern.starts_with('/')) pattern = directory_of(main_path) + "/" + pattern;
            const std::vector<std::string> paths = facts_.glob(pattern);
            if (paths.empty() && pattern.find_first_of("*?[") == std::string::npos)
                faults_.at(value, "no such file " + in_quotes(pattern));
            for (const std::string& path : paths)
                if (seen.insert(path).second) read_include(value, path);
        }
    }

    void read_include(const Value& from, const std::string& path) {
        faults_.enter(path);
        if (const auto why = facts_.distrust(path)) {
            faults_.add({path, 0, 0, "", *why});
            return;
        }
        auto text = facts_.read_file(path);
        if (!text) {
            faults_.at(from, "cannot include " + in_quotes(path) + ": " + text.error().message);
            return;
        }
        const Document* document = parse(path, std::move(*text));
        if (document == nullptr) return;
        const Value root{document, &document->root()};
        if (root->kind != Kind::object) {
            in_.expected(root, "an object, {\"programs\": {...}}");
            return;
        }
        for (const Node& node : root->children)
            read_include_member(root.child(node));
    }

    void read_include_member(const Value& member) {
        constexpr std::string_view only[] = {"programs"};
        if (member->key == only[0]) {
            if (member->kind != Kind::null) gather_programs(member);
            return;
        }
        if (is_users_own(member->key)) return;
        for (const std::string_view key : main_keys())
            if (key == member->key) {
                faults_.at_key(member,
                               in_quotes(key) + " belongs in the main file: an included one holds 'programs' only");
                return;
            }
        in_.unknown_key(member, only);
    }

    void add_program(Plan& plan, const Value& at, const MainDraft& main) {
        if (at->kind != Kind::object) {
            in_.expected(at, "an object with the program's fields");
            return;
        }
        ProgramDraft draft;
        read_program_fields(in_, Slot::over(at, main.defaults), draft);
        for (Finished& finished : finish_program(in_, std::move(draft), at, main.daemon.log_dir)) {
            streams_.claim(faults_, finished);
            std::string name = finished.program.name;
            plan.programs.emplace(std::move(name), std::move(finished.program));
        }
    }

    const Facts& facts_;
    Lookup host_;
    Faults faults_;
    Reader in_;
    Streams streams_;
    std::vector<std::unique_ptr<const Document>> documents_;
    std::map<std::string_view, Value> names_;
    std::vector<Value> programs_; // in the order of the text
};

} // namespace

std::expected<Plan, std::vector<Fault>> load(const std::string& path, const Facts& facts) {
    const bool absolute = path.starts_with('/') || facts.current_dir.empty();
    const std::string relative = path.starts_with("./") ? path.substr(2) : path;
    return Loader(facts).run(absolute ? path : facts.current_dir + "/" + relative);
}

} // namespace keepd::config
