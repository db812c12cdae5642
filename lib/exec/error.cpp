#include <utility>

#include "lib/exec/error_data.hpp"

namespace keep::exec {
namespace {

class Category final : public std::error_category {
  public:
    const char* name() const noexcept override { return "exec"; }
    std::string message(int value) const override {
        switch (static_cast<Errc>(value)) {
        case Errc::not_found: return "executable file not found in $PATH";
        case Errc::dot: return "cannot run executable found relative to current directory";
        case Errc::wait_delay: return "exec: WaitDelay expired before I/O complete";
        case Errc::process_done: return "os: process already finished";
        case Errc::process_released: return "os: process already released";
        case Errc::canceled: return "context canceled";
        case Errc::deadline_exceeded: return "context deadline exceeded";
        case Errc::no_command: return "exec: no command";
        case Errc::already_started: return "exec: already started";
        case Errc::not_started: return "exec: not started";
        case Errc::already_waited: return "exec: Wait was already called";
        case Errc::stream_set: return "exec: stream already set";
        case Errc::pipe_after_start: return "exec: pipe after process started";
        case Errc::cancel_without_context:
            return "exec: command with a non-nil Cancel was not created with CommandContext";
        case Errc::nul_in_environment: return "exec: environment variable contains NUL";
        case Errc::closed: return "file already closed";
        case Errc::unsuccessful: return "exec: unsuccessful exit";
        }
        return "unknown error";
    }
};

// How many bytes from here on are one well-formed character of UTF-8; 0 if there is none.
std::size_t character_length(std::string_view text) {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
    const unsigned char first = byte(0);
    if (first < 0x80) return 1;
    const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xc0) != 0x80) return 0;
    }
    const bool overlong = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xf0 && byte(1) < 0x90);
    const bool surrogate = first == 0xed && byte(1) >= 0xa0;
    const bool beyond = first == 0xf4 && byte(1) >= 0x90;
    return overlong || surrogate || beyond ? 0 : length;
}

// Go's strconv.Quote, but that every well-formed character beyond ASCII counts as printable.
std::string in_quotes(std::string_view text) {
    static constexpr std::string_view hex = "0123456789abcdef";
    static constexpr std::string_view escaped = "\a\b\f\n\r\t\v\\\"";
    static constexpr std::string_view letters = "abfnrtv\\\"";
    std::string out = "\"";
    while (!text.empty()) {
        const std::size_t length = character_length(text);
        const auto byte = static_cast<unsigned char>(text[0]);
        if (const std::size_t at = escaped.find(text[0]); at != std::string_view::npos) {
            out.append({'\\', letters[at]});
        } else if (length == 0 || byte < 0x20 || byte == 0x7f) {
            out.append({'\\', 'x', hex[byte >> 4], hex[byte & 15]});
        } else {
            out += text.substr(0, length);
        }
        text.remove_prefix(length == 0 ? 1 : length);
    }
    return out + '"';
}

Error error_of(Error::Data data) {
    return Error(std::make_shared<const Error::Data>(std::move(data)));
}

} // namespace

const std::error_category& exec_category() noexcept {
    static const Category category;
    return category;
}

std::string text_of(std::error_code code) {
    const bool is_errno = code.category() == std::generic_category() || code.category() == std::system_category();
    return is_errno ? errno_text(code.value()) : code.message();
}

Error::Error(std::error_code code, std::string message) {
    if (message.empty()) message = text_of(code);
    data_ = std::make_shared<const Data>(Data{.code = code, .message = std::move(message)});
}

const std::string& Error::message() const noexcept {
    return data_->message;
}
std::error_code Error::code() const noexcept {
    return data_->code;
}
int Error::error_number() const noexcept {
    return data_->code.category() == std::generic_category() ? data_->code.value() : 0;
}
std::string_view Error::op() const noexcept {
    return data_->op;
}
std::string_view Error::path() const noexcept {
    return data_->path;
}
Step Error::step() const noexcept {
    return data_->step;
}
std::string_view Error::object() const noexcept {
    return data_->object;
}

bool Error::is(std::error_code wanted) const noexcept {
    for (const Data* data = data_.get(); data != nullptr; data = data->cause.get()) {
        if (data->code == wanted) return true;
    }
    return false;
}

bool Error::is(std::errc wanted) const noexcept {
    for (const Data* data = data_.get(); data != nullptr; data = data->cause.get()) {
        if (data->code == wanted) return true;
    }
    return false;
}

const ExitError* Error::exit() const noexcept {
    for (const Data* data = data_.get(); data != nullptr; data = data->cause.get()) {
        if (data->exit) return &*data->exit;
    }
    return nullptr;
}

Error own_error(Errc code, std::string message) {
    return Error(make_error_code(code), std::move(message));
}

Error call_error(std::string_view op, std::string_view path, std::error_code code) {
    std::string message(op);
    if (!path.empty()) message.append(" ").append(path);
    message.append(": ").append(text_of(code));
    return error_of({.code = code, .op = std::string(op), .path = std::string(path), .message = std::move(message)});
}

Error start_error(std::string_view path, Step step, int error_number, std::string_view object) {
    std::string message = "fork/exec " + std::string(path) + ": ";
    const bool named = step != Step::none && step != Step::clone && step != Step::execve;
    if (named) {
        message += step_name(step);
        if (!object.empty()) message.append(" '").append(object).append("'");
        message += ": ";
    }
    message += errno_text(error_number);
    return error_of({.code = system_code(error_number),
                     .op = "fork/exec",
                     .path = std::string(path),
                     .step = step,
                     .object = std::string(object),
                     .message = std::move(message)});
}

Error wrapped_error(std::string_view prefix, const Error& cause) {
    Error::Data outer{.code = cause.code(), .message = std::string(prefix) + ": " + cause.message()};
    outer.op = cause.op();
    outer.path = cause.path();
    outer.step = cause.step();
    outer.object = cause.object();
    outer.cause = cause.data();
    return error_of(std::move(outer));
}

Error lookup_error_of(std::string_view name, std::error_code reason, std::string path) {
    return error_of({.code = reason,
                     .op = "exec",
                     .path = path.empty() ? std::string(name) : std::move(path),
                     .message = "exec: " + in_quotes(name) + ": " + text_of(reason)});
}

Error lookup_stat_error(std::string_view name, int error_number) {
    return error_of(
        {.code = system_code(error_number),
         .op = "exec",
         .path = std::string(name),
         .message = "exec: " + in_quotes(name) + ": stat " + std::string(name) + ": " + errno_text(error_number)});
}

Error refused_start(std::string_view path, std::string_view text) {
    return error_of({.code = std::make_error_code(std::errc::invalid_argument),
                     .op = "fork/exec",
                     .path = std::string(path),
                     .step = Step::prepare,
                     .message = "fork/exec " + std::string(path) + ": " + std::string(text)});
}

Error exit_error(ExitError exit) {
    Error::Data data{.code = make_error_code(Errc::unsuccessful), .message = exit.state.to_string()};
    data.exit = std::move(exit);
    return error_of(std::move(data));
}

} // namespace keep::exec
