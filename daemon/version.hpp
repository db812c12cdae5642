// What this image is: the version it was built as and the build id that its linker gave it.
#pragma once

#include <string>

namespace keepd {

// "0.1.0", or "0.1.0+TAG" of a tagged build.
const char* version();

// The GNU build id of the running image, in hex; "" if it was linked without one.
std::string own_build_id();

} // namespace keepd
