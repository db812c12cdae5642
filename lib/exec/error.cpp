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

// Go's strconv.Quote, as far as a file name needs it.
std::string in_quotes(std::string_view text) {
    static constexpr std::string_view hex = "0123456789abcdef";
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out.append({'\\', c});
        } else if (c == '\n') {
            out += "\\n";
        } else if (c == '\t') {
            out += "\\t";
        } else if (byte < 0x20 || byte == 0x7f) {
            out.append({'\\', 'x', hex[byte >> 4], hex[byte & 15]});
        } else {
            out += c;
        }
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

Error exit_error(ExitError exit) {
    Error::Data data{.code = make_error_code(Errc::unsuccessful), .message = exit.state.to_string()};
    data.exit = std::move(exit);
    return error_of(std::move(data));
}

} // namespace keep::exec
