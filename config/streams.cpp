#include "config/streams.hpp"

namespace keepd::config {

namespace {

// A program without a path of its own is shown by its key.
void report(Faults& faults, const Value& at, const std::string& base, std::string message) {
    if (at->kind == Kind::object && at->key == base)
        faults.at_key(at, std::move(message));
    else
        faults.at(at, std::move(message));
}

// "/x.log" of "/x.log.12"; nothing for a path that does not end so.
std::string unrotated(const std::string& path) {
    const std::size_t point = path.find_last_not_of("0123456789");
    const bool numbered = point != std::string::npos && path[point] == '.' && point + 1 < path.size();
    return numbered ? path.substr(0, point) : "";
}

} // namespace

void Streams::claim_own_log(const std::string& path, const Value& at) {
    if (at) owners_.emplace(path, Owner{"", "keepd's own log", at});
}

void Streams::claim(Faults& faults, const Finished& finished) {
    const Program& program = finished.program;
    if (program.out.kind == Output::Kind::file)
        claim_one(faults, finished, program.out.path, "stdout", finished.out_at);
    if (program.err.kind == Output::Kind::file)
        claim_one(faults, finished, program.err.path, "stderr", finished.err_at);
}

void Streams::claim_one(Faults& faults, const Finished& finished, const std::string& path, const char* stream,
                        const Value& at) {
    const Program& program = finished.program;
    const auto [place, first] = owners_.try_emplace(path);
    Owner& owner = place->second;
    if (first) {
        owner = {program.base, std::string(stream) + " of " + in_quotes(program.name), at};
        return;
    }
    const bool own_stdout = owner.text == "stdout of " + in_quotes(program.name);
    std::string message;
    if (own_stdout)
        message = "stdout and stderr both go to " + in_quotes(path) + ": set \"stderr\": \"stdout\", or another path";
    else if (owner.base == program.base)
        message = "all instances would write to " + in_quotes(path) + ": put {name} or {instance} into the path";
    else
        message = std::string(stream) + " of " + in_quotes(program.name) + " goes to " + in_quotes(path) + ", where " +
                  owner.text + " goes already";
    report(faults, at, program.base, std::move(message));
}

void Streams::check_rotated(Faults& faults) const {
    for (const auto& [path, owner] : owners_) {
        const auto other = owners_.find(unrotated(path));
        if (other == owners_.end()) continue;
        report(faults, owner.at, owner.base,
               owner.text + " goes to " + in_quotes(path) + ", where the rotated files of " + other->second.text +
                   " go");
    }
}

} // namespace keepd::config
