// What is wrong with a text that is no JSON, in words for an operator.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace keepd::config {

struct SyntaxError {
    std::size_t offset = 0; // in bytes; at most the size of the text
    std::string pointer;    // of the innermost value that was open there
    std::string message;
};

// A byte order mark, a NUL byte, or what is not UTF-8; nothing if the text can be read as JSON at all.
std::optional<SyntaxError> find_encoding_error(std::string_view text);

// The first place where `text` leaves the grammar of JSON with comments. Called after the parser has refused it: the
// parser's own messages name its tokens, change between its versions, and do not say what was probably meant.
SyntaxError explain_syntax_error(std::string_view text);

} // namespace keepd::config
