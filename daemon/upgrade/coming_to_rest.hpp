// When has a file at a path stopped changing? Two looks that see the same, a while apart, with nothing heard in
// between, and nobody who writes to it. Pure: looks and times come in.
#pragma once

#include <optional>

#include "daemon/core/state.hpp"

namespace keepd::upgrade {

class ComingToRest {
  public:
    static constexpr core::Duration pause = std::chrono::milliseconds(300); // between the two looks

    // `known`: what lay there when it was last told, here or in an image before; no news.
    explicit ComingToRest(std::optional<core::FileIdentity> known) : known_(known) {}

    // The file was written to; what is being written is not at rest however long it pauses.
    void written() { being_written_ = true; }
    // The writer is done, or this is another file, or it can't be known.
    void closed() { being_written_ = false; }

    // Something has happened, and this is what lies there now (nothing: no file). Returns when to look again; nothing:
    // not before something happens.
    std::optional<core::Time> stirred(const std::optional<core::FileIdentity>& now_there, core::Time now);

    // The look at that time. True: it is at rest, and is what is known from now on. False: see stirred().
    bool still(const std::optional<core::FileIdentity>& now_there);

  private:
    std::optional<core::FileIdentity> known_;
    std::optional<core::FileIdentity> seen_; // by the first of two looks
    bool being_written_ = false;
};

} // namespace keepd::upgrade
