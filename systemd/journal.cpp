#include "systemd/journal.hpp"

#include <sys/uio.h>
#include <systemd/sd-journal.h>

namespace keepd::systemd {

bool journal_send(int priority, std::string_view message, const JournalFields& fields) {
    std::vector<std::string> lines;
    lines.reserve(fields.size() + 3);
    lines.push_back("MESSAGE=" + std::string(message));
    lines.push_back("PRIORITY=" + std::to_string(priority));
    lines.emplace_back("SYSLOG_IDENTIFIER=keepd");
    for (const auto& [name, value] : fields)
        lines.push_back(std::string(name) + "=" + value);
    std::vector<iovec> vectors;
    vectors.reserve(lines.size());
    for (auto& line : lines)
        vectors.push_back({line.data(), line.size()});
    return sd_journal_sendv(vectors.data(), static_cast<int>(vectors.size())) >= 0;
}

} // namespace keepd::systemd
