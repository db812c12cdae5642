// Manifests of the records for an adoption; see daemon/checkpoint/codec.hpp.
#pragma once

#include "daemon/checkpoint/codec.hpp"
#include "daemon/upgrade/adoption.hpp"

namespace keep::sys {

template <class V>
constexpr void fields(FdIdentity& self, V& visit) {
    visit("device", self.device);
    visit("inode", self.inode);
    visit("type", self.type);
}

} // namespace keep::sys

namespace keepd::upgrade {

template <class V>
constexpr void fields(HostRecord& self, V& visit) {
    visit("boot_id", self.boot_id, checkpoint::critical);
    visit("started_by", self.started_by);
    visit("tree_root", self.tree_root, checkpoint::critical);
    visit("image", self.image);
}

template <class V>
constexpr void fields(RunIdentity& self, V& visit) {
    visit("pid", self.pid, checkpoint::critical);
    visit("start_ticks", self.start_ticks, checkpoint::critical);
    visit("inode", self.inode);
}

} // namespace keepd::upgrade
