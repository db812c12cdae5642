#include "systemd/descriptor_store.hpp"

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <systemd/sd-daemon.h>

#include "systemd/notify_socket.hpp"

namespace keepd::systemd {

std::vector<Stored> take_stored() {
    char** names = nullptr;
    const int count = sd_listen_fds_with_names(1, &names);
    std::vector<Stored> stored;
    for (int i = 0; i < count; ++i) {
        auto fd = keep::sys::Fd::adopt(SD_LISTEN_FDS_START + i);
        (void)keep::sys::set_close_on_exec(fd.get(), true);
        stored.push_back({names != nullptr && names[i] != nullptr ? names[i] : "", std::move(fd)});
    }
    for (char** name = names; name != nullptr && *name != nullptr; ++name)
        std::free(*name);
    std::free(names);
    return stored;
}

Store store() {
    if (std::getenv("NOTIFY_SOCKET") == nullptr) return Store::no;
    const char* limit = std::getenv("FDSTORE");
    if (limit == nullptr) return Store::perhaps;
    unsigned most = 0;
    std::from_chars(limit, limit + std::strlen(limit), most);
    return most > 0 ? Store::yes : Store::no;
}

keep::Result<> store_descriptors(const std::string& name, std::span<const int> fds) {
    return send_to_manager("FDSTORE=1\nFDPOLL=0\nFDNAME=" + name, Weight::must_arrive, fds);
}

void forget_stored(const std::string& name) {
    (void)send_to_manager("FDSTOREREMOVE=1\nFDNAME=" + name, Weight::must_arrive);
}

void await_manager() {
    (void)sd_notify_barrier(0, 1'000'000);
}

} // namespace keepd::systemd
