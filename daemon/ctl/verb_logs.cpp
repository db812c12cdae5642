#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <poll.h>

#include "daemon/control/varlink.hpp"
#include "daemon/ctl/client.hpp"
#include "daemon/ctl/json_read.hpp"
#include "daemon/ctl/line_printer.hpp"
#include "daemon/ctl/log_reader.hpp"
#include "daemon/ctl/output.hpp"
#include "daemon/ctl/text_width.hpp"
#include "daemon/ctl/verbs.hpp"
#include "lib/sys/inotify.hpp"

namespace keepd::ctl {
namespace {

using nlohmann::json;

struct Stream {
    std::string program;
    std::string name; // "stdout", "stderr"
    std::string label;
    LogReader reader;
    LinePrinter printer;

    LogReader::Sink sink() {
        return [this](std::string_view bytes) { printer.take(bytes); };
    }
};

std::string label_of(const json& file) {
    const std::string program = text_of(file, "program");
    return text_of(file, "stream") == "stdout" ? program : program + "/" + text_of(file, "stream");
}

LinePrinter::Wrap wrap_for(const Common& common, const json& file, const std::string& label, std::size_t width) {
    if (common.json) {
        return [program = text_of(file, "program"), stream = text_of(file, "stream")](std::string_view line) {
            return control::to_text(json{{"program", program}, {"stream", stream}, {"line", line}}) + "\n";
        };
    }
    if (width == 0) return {};
    std::string front = label + std::string(width - std::min(width, display_width(label)), ' ') + " |";
    front = painted(front, Color::dim, common.look) + " ";
    return [front](std::string_view line) { return front + std::string(line) + "\n"; };
}

// What is said of programs of which keepd keeps nothing.
void tell_of_unkept(const json& files) {
    std::map<std::string, std::string> unkept;
    for (const json& file : files) {
        const std::string kind = text_of(file, "kind");
        if (text_of(file, "stream") == "stdout" && kind != "file") {
            unkept[text_of(file, "program")] =
                kind == "null" ? "its output is discarded (\"null\")" : "it writes where keepd does (\"inherit\")";
        }
    }
    for (const json& file : files) {
        if (text_of(file, "kind") == "file") unkept.erase(text_of(file, "program"));
    }
    for (const auto& [program, why] : unkept)
        std::fprintf(stderr, "keepctl: %s: %s\n", program.c_str(), why.c_str());
}

std::vector<std::unique_ptr<Stream>> streams_of(const Common& common, const json& reply) {
    std::vector<json> kept;
    for (const json& file : list_of(reply, "files")) {
        if (text_of(file, "kind") == "file") kept.push_back(file);
    }
    std::ranges::sort(
        kept, [](const json& left, const json& right) { return natural_less(label_of(left), label_of(right)); });
    std::size_t width = 0; // of the labels; 0: one stream needs none
    for (const json& file : kept) {
        if (kept.size() > 1) width = std::max(width, display_width(label_of(file)));
    }
    std::vector<std::unique_ptr<Stream>> streams;
    for (const json& file : kept) {
        const std::string label = label_of(file);
        streams.push_back(std::make_unique<Stream>(Stream{
            text_of(file, "program"), text_of(file, "stream"), label,
            LogReader(text_of(file, "path"),
                      static_cast<std::uint32_t>(std::max<std::int64_t>(1, number_of(file, "max_files").value_or(1)))),
            LinePrinter(wrap_for(common, file, label, width), print)}));
    }
    return streams;
}

CallError trouble(const keep::Error& error) {
    return {ExitCode::failed, error.message, {}, {}};
}

using Watched = std::map<int, std::vector<Stream*>>; // by inotify watch: the streams of that directory

keep::Result<Watched> watch(keep::sys::Inotify& inotify, std::vector<std::unique_ptr<Stream>>& streams) {
    Watched watched;
    for (auto& stream : streams) {
        const std::string directory = std::filesystem::path(stream->reader.path()).parent_path().string();
        const auto watch = inotify.add(directory, IN_MODIFY | IN_CREATE | IN_MOVED_TO);
        if (!watch) return std::unexpected(watch.error());
        watched[*watch].push_back(stream.get());
    }
    return watched;
}

// Shows what comes until somebody ends us.
keep::Result<> follow(keep::sys::Inotify& inotify, const Watched& watched) {
    for (;;) {
        pollfd readable{inotify.fd(), POLLIN, 0};
        if (::poll(&readable, 1, -1) <= 0) continue;
        const auto events = inotify.read();
        if (!events) return std::unexpected(events.error());
        std::vector<Stream*> changed;
        for (const keep::sys::FileEvent& event : *events) {
            for (const auto& [watch, streams] : watched) {
                for (Stream* stream : streams) {
                    const bool lost = event.watch == -1; // the queue overflowed: anything may have changed
                    const std::string name = std::filesystem::path(stream->reader.path()).filename().string();
                    // A file that was just renamed to NAME.1 may get its last line there.
                    const bool named = event.watch == watch && event.name.starts_with(name);
                    if ((lost || named) && std::ranges::find(changed, stream) == changed.end()) {
                        changed.push_back(stream);
                    }
                }
            }
        }
        for (Stream* stream : changed) {
            if (auto read = stream->reader.more(stream->sink()); !read) return read;
        }
    }
}

} // namespace

ExitCode logs(const Common& common, const std::vector<std::string>& names, const LogOptions& options) {
    auto client = Client::connect(common.socket);
    if (!client) return report(common, client.error());
    const auto reply = client->call("LogFiles", {{"names", names}});
    if (!reply) return report(common, reply.error());
    tell_of_unkept(list_of(*reply, "files"));
    auto streams = streams_of(common, *reply);

    // Watched before it is read, so that nothing falls in between.
    std::optional<keep::sys::Inotify> inotify;
    Watched watched;
    if (options.follow && !streams.empty()) {
        auto created = keep::sys::Inotify::create();
        if (!created) return report(common, trouble(created.error()));
        inotify = std::move(*created);
        auto found = watch(*inotify, streams);
        if (!found) return report(common, trouble(found.error()));
        watched = std::move(*found);
    }
    ExitCode code = ExitCode::done;
    for (auto& stream : streams) {
        if (auto shown = stream->reader.tail(options.lines, stream->sink()); !shown) {
            code = report(common, trouble(shown.error()));
        }
        if (!options.follow) stream->printer.finish();
    }
    if (!inotify || code != ExitCode::done) return code;
    const auto followed = follow(*inotify, watched);
    return followed ? ExitCode::done : report(common, trouble(followed.error()));
}

} // namespace keepd::ctl
