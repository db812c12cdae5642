// How waits end. A wait is data (Pending), so that the image after an upgrade can end what the one before it began;
// what has to be true is core's to say (core::progress).
#pragma once

#include <optional>
#include <span>
#include <string>

#include "daemon/control/methods.hpp"

namespace keepd::control {

bool is_shutting_down(const core::State&);

// Starts the wait of a method: at once over, or left in call.pending. Without `wait` the answer says how far it is.
std::optional<Answer> begin_wait(Call&, Pending, bool wait);

// Looks at the wishes that these programs can have moved (`everything`: at all); moves what is decided to `settled`.
// The answer, once nothing is left.
std::optional<Answer> look_after(Pending&, const core::State&, const core::Now&, std::span<const std::string> programs,
                                 bool everything);

// A reload was carried out or refused. Nothing: its wishes are left in `pending`.
std::optional<Answer> reload_ended(Pending&, const core::State&, const core::Now&);

// An upgrade ended. exit_code as keepctl's.
Answer upgrade_answer(const Pending&, const core::State&, const Identity&, bool ok, int exit_code,
                      const std::string& text);

} // namespace keepd::control
