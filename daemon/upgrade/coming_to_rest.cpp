#include "daemon/upgrade/coming_to_rest.hpp"

namespace keepd::upgrade {

std::optional<core::Time> ComingToRest::stirred(const std::optional<core::FileIdentity>& now_there, core::Time now) {
    seen_.reset();
    // An empty file is one that somebody is about to fill.
    if (!now_there || now_there->size == 0 || now_there == known_ || being_written_) return std::nullopt;
    seen_ = now_there;
    return now + pause;
}

bool ComingToRest::still(const std::optional<core::FileIdentity>& now_there) {
    if (!seen_ || now_there != seen_ || being_written_) return false;
    known_ = seen_;
    seen_.reset();
    return true;
}

} // namespace keepd::upgrade
