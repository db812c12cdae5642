// What of the host must outlive a crash, as it goes into the estate.
#include <sys/stat.h>

#include "daemon/host/host.hpp"

namespace keepd::host {

using upgrade::Item;
using upgrade::Slip;

Item Host::item_of(const Run& run) {
    return {{.kind = Slip::Kind::run, .name = run.program, .run = run.id, .pid = run.process.pid()},
            {run.process.pidfd()}};
}

Item Host::item_of(const logs::StreamEnds& ends) {
    Item item{{.kind = Slip::Kind::stream, .name = ends.id, .target = ends.target}, {ends.read}};
    if (ends.write >= 0) item.fds.push_back(ends.write);
    return item;
}

std::vector<Item> Host::living() const {
    std::vector<Item> items;
    if (server_) items.push_back({{.kind = Slip::Kind::listener, .name = server_->path()}, {server_->listener()}});
    if (pump_)
        for (const auto& ends : pump_->ends())
            items.push_back(item_of(ends));
    runs_.each([&](const Run& run) {
        if (!run.reaped && run.process.pidfd() >= 0) items.push_back(item_of(run));
    });
    return items;
}

void Host::park_opened_streams() {
    for (const auto& ends : pump_->take_opened())
        estate_.park(item_of(ends));
}

void Host::park_listener() {
    if (!server_) return;
    estate_.park({{.kind = Slip::Kind::listener, .name = server_->path()}, {server_->listener()}});
}

void Host::save_host() {
    upgrade::HostRecord record{upgrade::boot_id(), started_by_, trees_.root(), {}};
    struct stat image{};
    if (::stat("/proc/self/exe", &image) == 0) record.image = {image.st_dev, image.st_ino, image.st_mode & S_IFMT};
    estate_.save_host(record);
}

} // namespace keepd::host
