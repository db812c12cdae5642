// How much memory a candidate may take in its rehearsal, and a new image until its commit: more than any state needs.
#pragma once

#include <sys/resource.h>

namespace keepd::upgrade {

inline constexpr rlim_t most_memory = rlim_t{2} << 30;

// g++ says so by macros, clang by features. A sanitizer's shadow memory alone is more than any bound.
#if defined(__has_feature)
#define KEEPD_SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define KEEPD_SANITIZED 1
#else
#define KEEPD_SANITIZED 0
#endif
inline constexpr bool memory_can_be_bound = !KEEPD_SANITIZED;
#undef KEEPD_SANITIZED

} // namespace keepd::upgrade
