// Paths as texts: nothing here looks at a file.
#pragma once

#include <string>
#include <string_view>

namespace keep::exec {

// Go's filepath.Clean: the shortest path of the same meaning, symbolic links not looked at; "." for nothing.
std::string clean_path(std::string_view path);

} // namespace keep::exec
