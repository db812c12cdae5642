#include "daemon/checkpoint/checkpoint.hpp"

#include <cstdint>

#include "daemon/checkpoint/hash.hpp"
#include "daemon/checkpoint/manifest_core.hpp"
#include "daemon/checkpoint/unknown.hpp"
#include "daemon/core/step.hpp"

namespace keepd::checkpoint {
namespace {

constexpr std::string_view program_prefix = "program/";

// One record into a blank value; its unknown fields go to `kept` if there is one.
template <class T>
keep::Result<> decode_record(T& value, std::string_view key, std::string_view bytes, Unknown* kept) {
    Kept fields;
    if (auto done = restore_into(value, bytes, kept ? &fields : nullptr); !done)
        return keep::fail_in(key, done.error());
    if (!fields.empty()) kept->records.insert_or_assign(std::string(key), std::move(fields));
    return {};
}

// What the policy takes for granted, beyond what the types say. Nothing: it holds.
std::string_view broken_promise(const core::Program& program, std::string_view name, std::uint64_t next_run) {
    if (program.spec.name != name) return "spec.name: not the record's own";
    if (program.spec.stop.sequence.empty()) return "spec.stop.sequence: empty";
    if (program.run.value >= next_run) return "run: not below the next run's number";
    if (core::live_run(program).value > program.run.value) return "phase: a run newer than the newest";
    return {};
}

template <class Map>
keep::Result<core::State> decode_all(const Map& records, Unknown* kept) {
    core::State state;
    const auto daemon = records.find(daemon_key);
    if (daemon == records.end()) return keep::fail("no record 'daemon'");
    if (auto done = decode_record(state.daemon, daemon_key, daemon->second, kept); !done)
        return std::unexpected(std::move(done.error()));
    for (auto at = records.lower_bound(program_prefix); at != records.end() && at->first.starts_with(program_prefix);
         ++at) {
        const std::string_view name = std::string_view(at->first).substr(program_prefix.size());
        core::Program& program = state.programs.try_emplace(state.programs.end(), std::string(name))->second;
        if (auto done = decode_record(program, at->first, at->second, kept); !done)
            return std::unexpected(std::move(done.error()));
        if (const auto broken = broken_promise(program, name, state.daemon.next_run); !broken.empty())
            return keep::fail(std::string(at->first) + ": " + std::string(broken));
    }
    core::rebuild_agenda(state);
    return state;
}

Records encode_all(const core::State& state, const Unknown* unknown) {
    Records records;
    records.emplace(daemon_key, save(state.daemon, unknown ? unknown->of(daemon_key) : nullptr));
    for (const auto& [name, program] : state.programs) {
        std::string key = program_key(name);
        std::string bytes = save(program, unknown ? unknown->of(key) : nullptr);
        records.emplace_hint(records.end(), std::move(key), std::move(bytes));
    }
    return records;
}

template <class T>
void print_record(std::string_view key, std::string_view bytes, JsonText& json) {
    T value;
    if (const auto done = decode_record(value, key, bytes, nullptr); !done) {
        json.begin_object();
        json.key("error");
        json.text(done.error().message);
        json.end_object();
        return;
    }
    print(value, json);
}

} // namespace

std::string program_key(std::string_view name) {
    return std::string(program_prefix).append(name);
}

std::string encode(const core::Daemon& daemon) {
    return save(daemon);
}
std::string encode(const core::Program& program) {
    return save(program);
}
Records encode(const core::State& state) {
    return encode_all(state, nullptr);
}

std::string encode(const core::Daemon& daemon, const Unknown& unknown) {
    return save(daemon, unknown.of(daemon_key));
}
std::string encode(const core::Program& program, const Unknown& unknown) {
    return save(program, unknown.records.empty() ? nullptr : unknown.of(program_key(program.spec.name)));
}
Records encode(const core::State& state, const Unknown& unknown) {
    return encode_all(state, &unknown);
}

keep::Result<core::State> decode(const Records& records) {
    return decode_all(records, nullptr);
}
keep::Result<core::State> decode(const Records& records, Unknown& kept) {
    return decode_all(records, &kept);
}
keep::Result<core::State> decode(const RecordViews& records, Unknown& kept) {
    return decode_all(records, &kept);
}

std::string digest(const Records& records) {
    // Each hash has its text's length in it, so that no byte can wander from one record to its neighbour unseen.
    std::uint64_t hash = records.size();
    for (const auto& [key, bytes] : records)
        hash = hash64(bytes, hash64(key, hash));
    std::string text(16, '0');
    for (std::size_t i = 16; i-- > 0; hash >>= 4)
        text[i] = "0123456789abcdef"[hash & 15];
    return text;
}

std::string to_json(const Records& records) {
    JsonText json;
    json.begin_object();
    for (const auto& [key, bytes] : records) {
        json.key(key);
        if (key == daemon_key) {
            print_record<core::Daemon>(key, bytes, json);
        } else if (key.starts_with(program_prefix)) {
            print_record<core::Program>(key, bytes, json);
        } else {
            json.begin_object();
            json.key("bytes");
            json.number(std::uint64_t{bytes.size()});
            json.end_object();
        }
    }
    json.end_object();
    return json.take() + '\n';
}

} // namespace keepd::checkpoint
