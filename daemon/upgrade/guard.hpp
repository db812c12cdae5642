// The crash guard: the way back from a new image that fails before its commit.
//
// Raised by the first lines of main() of an image that keepd executed itself into. Until it is lowered, a fatal signal,
// an end by exit(3), memory that runs out or too long a silence execute the old image again, by the descriptor that it
// pinned, with the untouched checkpoint and the reason. Nothing irreversible happens meanwhile (Host::resume), so the
// old image finds what it left. It is executed without a way back of its own: there is one attempt, never a ping-pong.
//
// What it can't see: SIGKILL, _exit(2), and a crash in the dynamic linker or a static constructor, before main(). The
// last is what the rehearsal is for; the first two are a crash of keepd, and adopted as such.
#pragma once

#include <string>
#include <string_view>

#include "lib/base/time.hpp"

namespace keepd::upgrade {

// The internal arguments: `--resume=STATE --way-back=IMAGE:MILLISECONDS` to the new image, `--resume=STATE
// --rolled-back=REASON` to the old one.
inline constexpr std::string_view way_back_option = "--way-back=";
inline constexpr std::string_view rolled_back_option = "--rolled-back=";

// The argument that gives a new image `image_fd` to go back to, and `patience` until its commit.
std::string way_back_argument(int image_fd, keep::Duration patience);

// First act of main(): stands guard if the arguments name a way back. Nothing is allocated. `argv` must stay.
void raise_guard(int argc, char** argv);
bool guarded();
int way_back_fd(); // the pinned old image; -1: none

// The commit: from here on a failure is a crash. Closes the old image.
void lower_guard();

// Goes back to the old image, saying why. Returns only if there is no way back (any more), or it can't be executed.
void roll_back(std::string_view reason);

} // namespace keepd::upgrade
