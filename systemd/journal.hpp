// Structured records to the journal: sd_journal_send(3).
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace keepd::systemd {

// Field names are upper case, e.g. {"KEEPD_PROGRAM", "web"}.
using JournalFields = std::vector<std::pair<std::string_view, std::string>>;

// Sends one record. `priority` as in syslog(3). True if the journal took it; one that hangs is waited for 0.1 s, once.
bool journal_send(int priority, std::string_view message, const JournalFields& fields);

// The socket that the first record has opened; -1 before.
int journal_descriptor();

} // namespace keepd::systemd
