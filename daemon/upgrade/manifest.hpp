// Manifests of what the handoff adds to the checkpoint; see daemon/checkpoint/codec.hpp.
#pragma once

#include "daemon/upgrade/handoff.hpp"

namespace keepd::upgrade {

template <class V>
constexpr void fields(Attributes& self, V& visit) {
    visit("limits", self.limits);
    visit("nice", self.nice);
    visit("oom_score_adjust", self.oom_score_adjust);
    visit("cpus", self.cpus);
}

template <class V>
constexpr void fields(Origins& self, V& visit) {
    visit("environment", self.environment);
    visit("attributes", self.attributes);
}

template <class V>
constexpr void fields(CarriedMember& self, V& visit) {
    visit("pid", self.pid);
    visit("pidfd", self.pidfd);
}

template <class V>
constexpr void fields(CarriedRun& self, V& visit) {
    visit("program", self.program);
    visit("run", self.run);
    visit("pid", self.pid);
    visit("pidfd", self.pidfd);
    visit("cgroup", self.cgroup);
    visit("members", self.members);
    visit("foster", self.foster);
    visit("stat", self.stat);
    visit("trusted", self.trusted);
}

template <class V>
constexpr void fields(CarriedFd& self, V& visit) {
    visit("fd", self.fd);
    visit("device", self.device);
    visit("inode", self.inode);
    visit("type", self.type);
}

template <class V>
constexpr void fields(Handoff& self, V& visit) {
    visit("from_version", self.from_version);
    visit("from_build_id", self.from_build_id);
    visit("to_path", self.to_path);
    visit("to_version", self.to_version);
    visit("to_build_id", self.to_build_id);
    visit("started_by", self.started_by);
    visit("origins", self.origins);
    visit("tree_root", self.tree_root);
    visit("parked_at", self.parked_at);
    visit("runs", self.runs);
    visit("streams", self.streams);
    visit("control", self.control);
    visit("live", self.live);
    visit("live_file", self.live_file);
    visit("vaults", self.vaults);
    visit("vault", self.vault);
    visit("descriptors", self.descriptors);
#ifdef KEEPD_NEXT
    visit("remark", self.remark);
    visit("spare_fd", self.spare_fd);
#endif
}

} // namespace keepd::upgrade
