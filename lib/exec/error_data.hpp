// How the library makes its errors: the parts, from which the text follows.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

#include <keep/exec/error.hpp>
#include <keep/exec/process_state.hpp>

namespace keep::exec {

// What an Error shares between its copies.
struct Error::Data {
    std::error_code code = {};
    std::string op = {};
    std::string path = {};
    Step step = Step::none;
    std::string object = {};
    std::string message = {};
    std::shared_ptr<const Data> cause = {}; // wrapped
    std::optional<ExitError> exit = {};
};

inline std::error_code system_code(int error_number) {
    return {error_number, std::generic_category()};
}

// The text of a code: Go's for an errno, our own for an Errc, the category's for any other.
std::string text_of(std::error_code code);

// The library's own conditions, with their whole text: "exec: already started".
Error own_error(Errc code, std::string message = {});
// A failed call: "OP PATH: REASON".
Error call_error(std::string_view op, std::string_view path, std::error_code code);
inline Error call_error(std::string_view op, std::string_view path, int error_number) {
    return call_error(op, path, system_code(error_number));
}
// A start that failed: "fork/exec PATH: REASON"; where the step is neither the clone nor the execve, it is named:
// "fork/exec PATH: chdir '/srv/web': REASON".
Error start_error(std::string_view path, Step step, int error_number, std::string_view object = {});
// "PREFIX: CAUSE", wrapping it.
Error wrapped_error(std::string_view prefix, const Error& cause);
// `exec: "NAME": REASON`; `path`: what was found all the same.
Error lookup_error_of(std::string_view name, std::error_code reason, std::string path = {});
// `exec: "NAME": stat NAME: REASON`.
Error lookup_stat_error(std::string_view name, int error_number);
// A start that is refused beforehand, in words: "fork/exec PATH: TEXT".
Error refused_start(std::string_view path, std::string_view text);
Error exit_error(ExitError exit);

inline std::unexpected<Error> failed(Error error) {
    return std::unexpected<Error>(std::move(error));
}

} // namespace keep::exec
