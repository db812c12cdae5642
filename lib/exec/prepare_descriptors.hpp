// The part of a Preparation that plans the child's descriptors.
#pragma once

#include "lib/exec/preparation.hpp"

namespace keep::exec {

Result<> prepare_descriptors(const SpawnSpec& spec, const Manner& manner, Preparation& into);

} // namespace keep::exec
