#include "lib/base/error.hpp"

#include <system_error>

namespace keep {

Failure fail_errno(std::string_view operation, std::string_view object, int code) {
    std::string text(operation);
    if (!object.empty()) text.append(" '").append(object).append("'");
    text.append(": ").append(std::generic_category().message(code));
    return Failure(Error{code, std::move(text)});
}

Failure fail_in(std::string_view context, const Error& cause) {
    return Failure(Error{cause.code, std::string(context) + ": " + cause.message});
}

} // namespace keep
