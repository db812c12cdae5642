#include "lib/sys/credentials.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <functional>
#include <grp.h>
#include <optional>
#include <pwd.h>
#include <sys/socket.h>

namespace keep::sys {
namespace {

// 4294967295 is no id: chown(2) and setresuid(2) take it for "leave as it is".
std::optional<std::uint32_t> id_of(const std::string& text) {
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value == UINT32_MAX) return std::nullopt;
    return value;
}

// Calls a get*_r function with a buffer that grows until the entry fits. `ask` returns its error number.
template <typename Entry>
Result<bool> ask_database(std::string_view what, std::string_view name, std::vector<char>& buffer,
                          const std::function<int(char*, std::size_t, Entry**)>& ask) {
    constexpr std::size_t largest = std::size_t{16} << 20; // a group with very many members
    buffer.resize(1024);
    for (;;) {
        Entry* found = nullptr;
        const int code = ask(buffer.data(), buffer.size(), &found);
        if (code == ERANGE && buffer.size() < largest) {
            buffer.resize(buffer.size() * 4);
        } else if (found != nullptr) {
            return true;
        } else if (code == 0 || code == ENOENT || code == ESRCH || code == EBADF || code == EPERM) {
            return false; // getpwnam_r(3) lists these as "not found" in various name services
        } else if (code != EINTR) {
            return fail_errno(what, name, code);
        }
    }
}

User user_of(const passwd& entry) {
    const std::string home = entry.pw_dir != nullptr ? entry.pw_dir : "";
    const std::string shell = entry.pw_shell != nullptr ? entry.pw_shell : "";
    return {entry.pw_uid,
            entry.pw_gid,
            entry.pw_name,
            home.empty() ? "/" : home,
            shell.empty() ? "/bin/sh" : shell, // passwd(5): an empty field means this
            groups_of(entry.pw_name, entry.pw_gid)};
}

} // namespace

Result<User> lookup_user(const std::string& name) {
    std::vector<char> buffer;
    passwd entry{};
    auto found = ask_database<passwd>("look up user", name, buffer, [&](char* at, std::size_t size, passwd** result) {
        return ::getpwnam_r(name.c_str(), &entry, at, size, result);
    });
    if (!found) return std::unexpected(found.error());
    if (*found) return user_of(entry);
    const auto uid = id_of(name);
    if (!uid) return fail("no such user: '" + name + "'", ENOENT);
    found = ask_database<passwd>("look up user", name, buffer, [&](char* at, std::size_t size, passwd** result) {
        return ::getpwuid_r(*uid, &entry, at, size, result);
    });
    if (!found) return std::unexpected(found.error());
    if (*found) return user_of(entry);
    return User{*uid, *uid, name, "/", "/bin/sh", {}};
}

Result<gid_t> lookup_group(const std::string& name) {
    std::vector<char> buffer;
    group entry{};
    auto found = ask_database<group>("look up group", name, buffer, [&](char* at, std::size_t size, group** result) {
        return ::getgrnam_r(name.c_str(), &entry, at, size, result);
    });
    if (!found) return std::unexpected(found.error());
    if (*found) return entry.gr_gid;
    if (const auto gid = id_of(name)) return *gid;
    return fail("no such group: '" + name + "'", ENOENT);
}

std::vector<gid_t> groups_of(const std::string& user_name, gid_t primary) {
    std::vector<gid_t> groups(64);
    for (;;) {
        int count = static_cast<int>(groups.size());
        if (::getgrouplist(user_name.c_str(), primary, groups.data(), &count) >= 0) {
            groups.resize(static_cast<std::size_t>(count));
            return groups;
        }
        // The count that is needed is told; double it at least, should a name service tell nonsense.
        groups.resize(std::max(static_cast<std::size_t>(std::max(count, 0)), groups.size() * 2));
    }
}

std::string user_name(uid_t uid) {
    std::vector<char> buffer;
    passwd entry{};
    const auto found =
        ask_database<passwd>("look up user", "", buffer, [&](char* at, std::size_t size, passwd** result) {
            return ::getpwuid_r(uid, &entry, at, size, result);
        });
    return found && *found ? entry.pw_name : std::to_string(uid);
}

Result<PeerCredentials> peer_credentials(int socket) {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
        return fail_errno("read peer credentials", "", errno);
    }
    return PeerCredentials{peer.pid, peer.uid, peer.gid};
}

} // namespace keep::sys
