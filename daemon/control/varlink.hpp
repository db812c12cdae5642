// Varlink messages (https://varlink.org/Method-Call): JSON objects, each ended by a NUL byte. Pure: bytes in, values
// out. Shared by server and keepctl.
#pragma once

#include <cstddef>
#include <expected>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace keepd::control {

// Objects and arrays inside each other, at most; more is malformed. Our own messages need 6.
inline constexpr int max_nesting = 32;

struct Request {
    std::string method;                               // "io.keepd.Manager.Status"
    std::shared_ptr<const nlohmann::json> parameters; // an object; never null
    bool more = false;                                // several replies are welcome
    bool oneway = false;                              // no reply is wanted, not even an error
    bool upgrade = false;                             // asks to leave the Varlink protocol: not served
};

struct Reply {
    std::string error; // full name; empty: none
    std::shared_ptr<const nlohmann::json> parameters;
    bool continues = false; // more replies to the same request follow
};

// The error: what is wrong with the text, in words.
std::expected<Request, std::string> parse_request(std::string_view text);
std::expected<Reply, std::string> parse_reply(std::string_view text);

// Messages as they go over the wire, NUL included. `parameters` is the text of a JSON object.
std::string request_message(std::string_view method, std::string_view parameters, bool more = false,
                            bool oneway = false);
std::string reply_message(std::string_view parameters, bool continues = false);
std::string error_message(std::string_view error, std::string_view parameters);

// JSON as text; bytes that are no UTF-8 (a program's arguments can be anything) become U+FFFD.
std::string to_text(const nlohmann::json&);

// What was received and not yet taken: whole messages at the front, perhaps a part of one at the end. Each byte is
// looked at once, however it arrives.
class Inbox {
  public:
    // limit: bytes of one message, NUL included.
    explicit Inbox(std::size_t limit, std::string received = {});

    void append(std::string_view bytes);
    // The next whole message without its NUL; nothing: not there yet.
    std::optional<std::string> take();
    bool has_message() const { return end_of_message_.has_value(); }
    // The next message is, or has already become, longer than the limit.
    bool oversized() const;
    std::size_t size() const { return bytes_.size() - begin_; }
    // What is left, to be carried.
    std::string rest() const { return bytes_.substr(begin_); }

  private:
    void look();

    std::size_t limit_;
    std::string bytes_;
    std::size_t begin_ = 0;                     // of the next message
    std::size_t looked_ = 0;                    // no NUL between begin_ and here
    std::optional<std::size_t> end_of_message_; // where its NUL is
};

} // namespace keepd::control
