// Expected failures are values. A Result either holds what was asked for or an Error that says what was being done,
// to what, and why it failed: "open '/etc/keepd/keepd.json': Permission denied".
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace keep {

// An expected failure. Value type; copies freely; never thrown.
struct Error {
    int code = 0;        // errno of the failed call, or 0 where no system call failed
    std::string message; // complete and readable: operation, object, cause

    bool operator==(const Error&) const = default;
};

// The outcome of a call that can fail: a T, or an Error. std::expected of C++23.
template <typename T = void>
using Result = std::expected<T, Error>;

// What `return fail(...)` yields; converts to any Result<T>.
using Failure = std::unexpected<Error>;

// A failure of a system call.
//   operation  what was being done, e.g. "open" or "clone3"
//   object     to what, quoted in the message; may be empty
//   code       errno at the failure
[[nodiscard]] Failure fail_errno(std::string_view operation, std::string_view object, int code);

// A failure that is no system call's. `message` is complete.
[[nodiscard]] inline Failure fail(std::string message, int code = 0) {
    return Failure(Error{code, std::move(message)});
}

// The same failure seen from one level up: "CONTEXT: MESSAGE", same code.
[[nodiscard]] Failure fail_in(std::string_view context, const Error& cause);

} // namespace keep
