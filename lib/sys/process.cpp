#include "lib/sys/process.hpp"

#include <cerrno>
#include <charconv>
#include <sys/prctl.h>
#include <unistd.h>

#include "lib/sys/fd.hpp"

namespace keep::sys {

Result<> set_child_subreaper(bool on) {
    // Not for nothing: the kernel would walk through all our descendants.
    if (const auto now = is_child_subreaper(); now && *now == on) return {};
    if (::prctl(PR_SET_CHILD_SUBREAPER, on ? 1L : 0L, 0L, 0L, 0L) == 0) return {};
    return fail_errno("set child subreaper", "", errno);
}

Result<bool> is_child_subreaper() {
    int on = 0;
    if (::prctl(PR_GET_CHILD_SUBREAPER, &on, 0L, 0L, 0L) != 0) return fail_errno("get child subreaper", "", errno);
    return on != 0;
}

Result<> set_process_name(const std::string& name) {
    if (::prctl(PR_SET_NAME, name.c_str(), 0L, 0L, 0L) == 0) return {};
    return fail_errno("set process name", name, errno);
}

Result<rlimit> get_limit(int resource) {
    rlimit value{};
    if (::prlimit(0, static_cast<__rlimit_resource>(resource), nullptr, &value) == 0) return value;
    return fail_errno("read limit", std::to_string(resource), errno);
}

Result<> set_limit(int resource, const rlimit& value) {
    if (::prlimit(0, static_cast<__rlimit_resource>(resource), &value, nullptr) == 0) return {};
    return fail_errno("set limit", std::to_string(resource), errno);
}

Result<int> nice_value() {
    errno = 0; // -1 is a value, too
    const int value = ::getpriority(PRIO_PROCESS, 0);
    if (value == -1 && errno != 0) return fail_errno("getpriority", "", errno);
    return value;
}

Result<int> oom_score_adjust() {
    auto text = read_file("/proc/self/oom_score_adj");
    if (!text) return std::unexpected(text.error());
    int value = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
    if (error != std::errc{}) return fail("/proc/self/oom_score_adj is no number: '" + *text + "'", EPROTO);
    return value;
}

Result<std::string> read_link(const std::string& path) {
    std::string target(256, '\0');
    for (;;) {
        const ssize_t length = ::readlink(path.c_str(), target.data(), target.size());
        if (length < 0) return fail_errno("readlink", path, errno);
        if (static_cast<std::size_t>(length) < target.size()) {
            target.resize(static_cast<std::size_t>(length));
            return target;
        }
        target.resize(target.size() * 2); // it filled the buffer: it may have been cut
    }
}

Result<std::string> executable_path() {
    return read_link("/proc/self/exe");
}

} // namespace keep::sys
