#include "daemon/upgrade/rehearsal.hpp"

#include <csignal>
#include <cstdint>
#include <fcntl.h>
#include <string_view>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <keep/exec/spawn.hpp>

#include "daemon/upgrade/environment.hpp"
#include "daemon/upgrade/memory_bound.hpp"
#include "lib/sys/fd.hpp"

namespace keepd::upgrade {

namespace {

constexpr std::size_t most_output = 64 * 1024;
constexpr int state_fd_in_candidate = 3;

std::string last_line(std::string_view text) {
    constexpr std::size_t longest = 300;
    while (text.ends_with('\n'))
        text.remove_suffix(1);
    if (const auto start = text.rfind('\n'); start != text.npos) text.remove_prefix(start + 1);
    return std::string(text.substr(0, longest));
}

class Running final : public Rehearsal {
  public:
    Running(const Setting& setting, Done done) : path_(setting.path), done_(std::move(done)) {}

    ~Running() override {
        if (process_ && !ended_) (void)process_.signal(SIGKILL);
    }

    keep::Result<> start(systemd::Loop& loop, const Setting& setting) {
        auto out = keep::sys::pipe(O_NONBLOCK);
        if (!out) return std::unexpected(out.error());
        auto err = keep::sys::pipe(O_NONBLOCK);
        if (!err) return std::unexpected(err.error());

        keep::exec::SpawnSpec spec;
        spec.path = setting.path;
        spec.exec_fd = setting.image_fd;
        spec.argv = {setting.argv0, "--rehearse=" + std::to_string(state_fd_in_candidate)};
        spec.env = for_rehearsal(setting.env);
        spec.stdio = {-1, out->write.get(), err->write.get()};
        spec.extra_fds = {{setting.state_fd, state_fd_in_candidate}};
        spec.sys.setsid = true;
        spec.sys.pdeathsig = SIGKILL; // a keepd that is killed leaves no candidate behind
        spec.sys.signal_mask = 0;
        spec.sys.limits.push_back({RLIMIT_CORE, {0, 0}});
        if (memory_can_be_bound) spec.sys.limits.push_back({RLIMIT_AS, {most_memory, most_memory}});
        auto process = keep::exec::spawn(spec);
        if (!process) return keep::fail(process.error().message(), process.error().error_number());
        process_ = std::move(*process);
        pid_ = process_.pid();

        out_ = std::move(out->read);
        err_ = std::move(err->read);
        auto out_source =
            loop.watch(out_.get(), EPOLLIN, [this](std::uint32_t) { read_some(out_, out_text_, out_source_); });
        auto err_source =
            loop.watch(err_.get(), EPOLLIN, [this](std::uint32_t) { read_some(err_, err_text_, err_source_); });
        auto timer = loop.timer([this] { timed_out(); });
        if (!out_source || !err_source || !timer) return keep::fail("no source for the rehearsal in the loop");
        out_source_ = std::move(*out_source);
        err_source_ = std::move(*err_source);
        timer_ = std::move(*timer);
        return timer_.set_time(setting.deadline);
    }

    void exited(const keep::ExitStatus& status) override {
        ended_ = true;
        read_some(out_, out_text_, out_source_);
        read_some(err_, err_text_, err_source_);
        if (status.success()) return finish(parse_answer(out_text_));
        std::string text = "it ended with " + keep::to_text(status);
        if (const auto said = last_line(err_text_); !said.empty()) text += ", saying: " + said;
        finish(keep::fail(text));
    }

  private:
    void read_some(keep::sys::Fd& fd, std::string& into, systemd::Source& source) {
        char buffer[4096];
        for (;;) {
            const auto got = read(fd.get(), buffer, sizeof buffer);
            if (got > 0) {
                into.append(buffer, static_cast<std::size_t>(got));
                if (into.size() <= most_output) continue;
                into.resize(most_output); // an answer this long is none; what follows is not worth reading
                source.reset();
                return;
            }
            if (got < 0 && errno == EINTR) continue;
            if (got == 0) source.reset(); // end of file would be readable for ever
            return;
        }
    }

    void timed_out() {
        (void)process_.signal(SIGKILL);
        finish(keep::fail("it gave no answer within upgrade.rehearsal_timeout"));
    }

    void finish(keep::Result<Answer> answer) {
        out_source_.reset();
        err_source_.reset();
        timer_.reset();
        if (!answer) answer = keep::fail("the rehearsal of " + path_ + " failed: " + answer.error().message);
        // Last: the receiver may destroy this object.
        if (auto done = std::exchange(done_, nullptr)) done(std::move(answer));
    }

    std::string path_;
    Done done_;
    keep::exec::Process process_;
    bool ended_ = false;
    keep::sys::Fd out_, err_;
    std::string out_text_, err_text_;
    systemd::Source out_source_, err_source_, timer_;
};

} // namespace

Rehearsal::~Rehearsal() = default;

keep::Result<std::unique_ptr<Rehearsal>> Rehearsal::begin(systemd::Loop& loop, const Setting& setting, Done done) {
    auto rehearsal = std::make_unique<Running>(setting, std::move(done));
    if (auto started = rehearsal->start(loop, setting); !started) return std::unexpected(started.error());
    return rehearsal;
}

} // namespace keepd::upgrade
