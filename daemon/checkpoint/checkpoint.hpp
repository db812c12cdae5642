// State to and from its saved form: one record for keepd, one for each program, and others' records carried along by
// key ("handoff"). The same form serves an upgrade (a sealed copy) and, from the live memfd, a crash.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "daemon/checkpoint/format.hpp"
#include "daemon/core/state.hpp"
#include "lib/base/error.hpp"

namespace keepd::checkpoint {

// Records by key. Keys: "daemon", "program/NAME", and whatever the upgrade adds ("handoff").
using Records = std::map<std::string, std::string, std::less<>>;
// The same where they lie, in memory that another holds.
using RecordViews = std::map<std::string_view, std::string_view>;

inline constexpr std::string_view daemon_key = "daemon";
std::string program_key(std::string_view name); // "program/NAME"

// What a newer image wrote and this one does not know: optional fields, by record. It lies beside the state, because
// core's values have no room for bytes that they don't understand. Decode once with it, encode always with it: then a
// newer image that comes back finds its fields again. Empty but for downgrades.
struct Unknown; // unknown.hpp

std::string encode(const core::Daemon&);
std::string encode(const core::Program&);
Records encode(const core::State&);

std::string encode(const core::Daemon&, const Unknown&);
std::string encode(const core::Program&, const Unknown&);
Records encode(const core::State&, const Unknown&);

// Errors: a missing or duplicate daemon record, an unknown critical field, an unknown word, a value out of range:
// "program/web: phase: unknown word 'resting'". The agenda is rebuilt. Records with other keys are left to those who
// added them.
keep::Result<core::State> decode(const Records&);                // unknown optional fields are dropped
keep::Result<core::State> decode(const Records&, Unknown& kept); // they go to `kept`; what was in it stays
keep::Result<core::State> decode(const RecordViews&, Unknown& kept);

// Canonical digest of records (order-independent of how they were written): what a rehearsal answers. 16 hex digits.
std::string digest(const Records&);

// The whole as JSON text, for keepctl and for people. A record that can't be decoded shows its error, one of another
// room its length.
std::string to_json(const Records&);

} // namespace keepd::checkpoint
