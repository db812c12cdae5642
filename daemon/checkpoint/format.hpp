// The number of the saved form, in the one place where it is written: the header of a checkpoint, keepd's ELF note
// (daemon/version.cpp) and the choice of a form for another image (daemon/upgrade/format_choice.hpp) are made of it.
//
// MAJOR.MINOR. The minor grows with each release that adds fields or words: a reader of the same major may read it all
// the same, as it keeps what it does not know and is told what it must not ignore (codec.hpp). The major grows when the
// form itself changes; then this image has to be able to write the former one too, for the way back.
#pragma once

#define KEEPD_FORMAT_MAJOR 1
#ifndef KEEPD_NEXT
#define KEEPD_FORMAT_MINOR 1
#else
#define KEEPD_FORMAT_MINOR 99 // of a release that is still to come (daemon/host/next.hpp)
#endif

#define KEEPD_FORMAT_JOINED(major, minor) #major "." #minor
#define KEEPD_FORMAT_TEXT(major, minor) KEEPD_FORMAT_JOINED(major, minor)
#define KEEPD_FORMAT KEEPD_FORMAT_TEXT(KEEPD_FORMAT_MAJOR, KEEPD_FORMAT_MINOR) // "1.1"

namespace keepd::checkpoint {

inline constexpr int format_major = KEEPD_FORMAT_MAJOR; // another major is refused
inline constexpr int format_minor = KEEPD_FORMAT_MINOR; // a newer minor may hold unknown optional fields

} // namespace keepd::checkpoint
