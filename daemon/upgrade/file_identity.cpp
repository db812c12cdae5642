#include "daemon/upgrade/file_identity.hpp"

#include <cstdint>

namespace keepd::upgrade {

core::FileIdentity identity_of(const struct stat& info) {
    constexpr std::int64_t ns_per_second = 1'000'000'000;
    core::FileIdentity file;
    file.device = info.st_dev;
    file.inode = info.st_ino;
    file.size = static_cast<std::uint64_t>(info.st_size);
    file.modified_ns = info.st_mtim.tv_sec * ns_per_second + info.st_mtim.tv_nsec;
    file.mode = info.st_mode;
    file.owner = info.st_uid;
    return file;
}

std::optional<core::FileIdentity> identify_file(const std::string& path) {
    struct stat info{};
    if (stat(path.c_str(), &info) != 0) return std::nullopt;
    return identity_of(info);
}

std::optional<core::FileIdentity> identify_running() {
    return identify_file("/proc/self/exe");
}

} // namespace keepd::upgrade
