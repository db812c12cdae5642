#include "daemon/host/log.hpp"

#include <mutex>
#include <spdlog/logger.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

#include "daemon/host/line_output.hpp"
#include "systemd/journal.hpp"
#include "systemd/notify.hpp"

namespace keepd::host {

namespace {

// spdlog's own sinks wait for whoever reads.
class LineSink final : public spdlog::sinks::base_sink<std::mutex> {
  public:
    explicit LineSink(LineOutput output) : output_(std::move(output)) {}

  protected:
    void sink_it_(const spdlog::details::log_msg& message) override {
        spdlog::memory_buf_t line;
        formatter_->format(message, line);
        output_.write({line.data(), line.size()});
    }
    void flush_() override {}

  private:
    LineOutput output_;
};

// spdlog has a systemd sink, but none that carries fields of our own beside the message.
class JournalSink final : public spdlog::sinks::base_sink<std::mutex> {
  public:
    const core::Notice* notice = nullptr; // of the line being logged, if it is a notice

  protected:
    void sink_it_(const spdlog::details::log_msg& message) override {
        systemd::JournalFields fields;
        if (notice != nullptr) {
            fields.emplace_back("KEEPD_NOTICE", std::to_string(notice->number));
            if (!notice->program.empty()) fields.emplace_back("KEEPD_PROGRAM", notice->program);
            if (notice->run.value != 0) fields.emplace_back("KEEPD_RUN", std::to_string(notice->run.value));
            if (notice->pid != 0) fields.emplace_back("KEEPD_PROGRAM_PID", std::to_string(notice->pid));
            if (!notice->state.empty()) fields.emplace_back("KEEPD_STATE", notice->state);
            if (notice->exit) fields.emplace_back("KEEPD_EXIT", keep::to_text(*notice->exit));
        }
        const std::string_view text(message.payload.data(), message.payload.size());
        if (systemd::journal_send(priority(message.level), text, fields)) return;
        // Nobody takes records (no journald, or it is being restarted): what happened must be told somewhere.
        instead_.write(std::string(text) + "\n");
    }
    void flush_() override {}

  private:
    LineOutput instead_{STDERR_FILENO};

    static int priority(spdlog::level::level_enum level) {
        switch (level) {
        case spdlog::level::debug: return 7;
        case spdlog::level::info: return 6;
        case spdlog::level::warn: return 4;
        default: return 3;
        }
    }
};

spdlog::level::level_enum level_of(config::LogLevel level) {
    switch (level) {
    case config::LogLevel::debug: return spdlog::level::debug;
    case config::LogLevel::info: return spdlog::level::info;
    case config::LogLevel::warning: return spdlog::level::warn;
    case config::LogLevel::error: return spdlog::level::err;
    }
    return spdlog::level::info;
}

// One line per decision: the event stream has every step, the log leaves out what the line before or after it says.
// "run 2 exit 1 after 0.3 s, next start in 1 s" needs no "backoff", and "running" has the pid of "run 2 is pid 102".
bool said_by_another_line(const core::Notice& notice) {
    using Kind = core::Notice::Kind;
    if (notice.kind == Kind::started) return notice.state == "running";
    if (notice.kind != Kind::state || notice.level == core::Notice::Level::error) return false;
    return notice.state == "starting" || notice.state == "backoff" || notice.state == "completed";
}

} // namespace

struct Log::Impl {
    std::string target;          // in force
    int file = -1;               // its descriptor, where it is a file
    std::string target_override; // of the command line
    std::optional<spdlog::level::level_enum> level_override;
    std::shared_ptr<JournalSink> journal;
    std::shared_ptr<spdlog::logger> logger;

    // Error: a file can't be opened; the log stays where it is.
    keep::Result<> open(const std::string& wanted) {
        const bool to_journal = wanted == "journal" || (wanted == "auto" && systemd::stderr_is_journal());
        spdlog::sink_ptr sink;
        int descriptor = -1;
        std::shared_ptr<JournalSink> new_journal;
        if (to_journal) {
            sink = new_journal = std::make_shared<JournalSink>();
        } else if (wanted == "auto" || wanted == "stderr") {
            sink = std::make_shared<LineSink>(LineOutput(STDERR_FILENO));
        } else {
            auto file = LineOutput::open(wanted);
            if (!file) return std::unexpected(file.error());
            descriptor = file->descriptor();
            sink = std::make_shared<LineSink>(std::move(*file));
        }
        const auto level = logger ? logger->level() : spdlog::level::info;
        logger = std::make_shared<spdlog::logger>("keepd", sink);
        logger->set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc);
        logger->set_level(level);
        logger->flush_on(spdlog::level::debug);
        journal = std::move(new_journal);
        target = wanted;
        file = descriptor;
        return {};
    }
};

Log::Log() : impl_(std::make_unique<Impl>()) {
    (void)impl_->open("auto"); // which opens nothing
}
Log::~Log() = default;

void Log::configure(const config::Log& settings) {
    impl_->logger->set_level(impl_->level_override.value_or(level_of(settings.level)));
    const std::string& wanted = impl_->target_override.empty() ? settings.target : impl_->target_override;
    if (wanted == impl_->target) return;
    if (const auto opened = impl_->open(wanted); !opened)
        error("log.target can't be used, the log stays where it is: " + opened.error().message);
}

void Log::override_level(std::string_view level) {
    impl_->level_override = spdlog::level::from_str(std::string(level));
    impl_->logger->set_level(*impl_->level_override);
}

void Log::override_target(std::string_view target) {
    impl_->target_override = target;
    configure({config::LogLevel::info, impl_->target_override});
}

void Log::reopen() {
    const bool to_file = !impl_->target.empty() && impl_->target[0] == '/';
    if (!to_file) return;
    if (const auto opened = impl_->open(std::string(impl_->target)); !opened)
        error("can't reopen keepd's own log, going on in the old file: " + opened.error().message);
}

void Log::flush() {
    impl_->logger->flush();
}

std::vector<int> Log::descriptors() const {
    std::vector<int> open;
    if (impl_->file >= 0) open.push_back(impl_->file);
    if (const int journal = systemd::journal_descriptor(); journal >= 0) open.push_back(journal);
    return open;
}

void Log::debug(std::string_view text) {
    impl_->logger->debug("{}", text);
}
void Log::info(std::string_view text) {
    impl_->logger->info("{}", text);
}
void Log::warning(std::string_view text) {
    impl_->logger->warn("{}", text);
}
void Log::error(std::string_view text) {
    impl_->logger->error("{}", text);
}

void Log::notice(const core::Notice& notice) {
    const std::string subject(notice.program.empty() ? core::kind_word(notice.kind) : notice.program);
    std::string line = subject + ": " + notice.text;
    if (notice.kind == core::Notice::Kind::state && notice.state == "running")
        line += " (run " + std::to_string(notice.run.value) + ", pid " + std::to_string(notice.pid) + ")";
    if (said_by_another_line(notice)) return debug(line);
    if (impl_->journal) impl_->journal->notice = &notice;
    switch (notice.level) {
    case core::Notice::Level::info: info(line); break;
    case core::Notice::Level::warning: warning(line); break;
    case core::Notice::Level::error: error(line); break;
    }
    if (impl_->journal) impl_->journal->notice = nullptr;
}

} // namespace keepd::host
