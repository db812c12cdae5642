#include "lib/exec/nofile_limit.hpp"

#include <atomic>
#include <cerrno>
#include <mutex>

#include <keep/exec/replace.hpp>

#include "lib/exec/error_data.hpp"

namespace keep::exec {
namespace {

std::atomic<bool> raised = false; // the quick answer for starts: nothing to put back
std::mutex changing;
rlimit original{};
rlimit ours{};

bool same(const rlimit& a, const rlimit& b) {
    return a.rlim_cur == b.rlim_cur && a.rlim_max == b.rlim_max;
}

} // namespace

std::optional<rlimit> original_nofile() {
    if (!raised.load()) return std::nullopt;
    const std::lock_guard one_at_a_time(changing);
    rlimit now{};
    if (::getrlimit(RLIMIT_NOFILE, &now) != 0 || !same(now, ours)) return std::nullopt;
    return original;
}

Result<> raise_nofile_limit() {
    const std::lock_guard one_at_a_time(changing);
    rlimit now{};
    if (::getrlimit(RLIMIT_NOFILE, &now) != 0) return failed(call_error("getrlimit", "nofile", errno));
    if (now.rlim_cur == now.rlim_max) return {};
    const rlimit wanted{now.rlim_max, now.rlim_max};
    if (::setrlimit(RLIMIT_NOFILE, &wanted) != 0) return failed(call_error("setrlimit", "nofile", errno));
    original = now;
    ours = wanted;
    raised.store(true);
    return {};
}

OriginalNofile::OriginalNofile() {
    const auto former = original_nofile();
    rlimit now{};
    if (!former || ::getrlimit(RLIMIT_NOFILE, &now) != 0) return;
    if (::setrlimit(RLIMIT_NOFILE, &*former) == 0) raised_ = now;
}
OriginalNofile::~OriginalNofile() {
    if (!raised_) return;
    const int saved = errno;
    ::setrlimit(RLIMIT_NOFILE, &*raised_);
    errno = saved;
}

} // namespace keep::exec
