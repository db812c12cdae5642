#include "daemon/control/varlink.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace keepd::control {
namespace {

using nlohmann::json;

// Looks before the parser builds anything: copying and printing deep JSON recurses. Brackets in strings do not count.
bool nested_too_deep(std::string_view text) {
    int depth = 0;
    bool in_string = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_string) {
            if (c == '\\') ++i;
            if (c == '"') in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > max_nesting) return true;
        } else if (c == '}' || c == ']') {
            --depth;
        }
    }
    return false;
}

std::expected<json, std::string> parse_object(std::string_view text) {
    if (nested_too_deep(text)) return std::unexpected("nested deeper than " + std::to_string(max_nesting));
    json message = json::parse(text, nullptr, false);
    if (message.is_discarded()) return std::unexpected("not JSON");
    if (!message.is_object()) return std::unexpected("not an object");
    return message;
}

// The member, moved out; an empty object where it is absent or null.
std::expected<std::shared_ptr<const json>, std::string> take_parameters(json& message) {
    const auto found = message.find("parameters");
    if (found == message.end() || found->is_null()) return std::make_shared<const json>(json::object());
    if (!found->is_object()) return std::unexpected("'parameters' is not an object");
    return std::make_shared<const json>(std::move(*found));
}

// False where it is absent or null; the error: it is something else than a boolean.
std::expected<bool, std::string> flag(const json& message, const char* name) {
    const auto found = message.find(name);
    if (found == message.end() || found->is_null()) return false;
    if (!found->is_boolean()) return std::unexpected("'" + std::string(name) + "' is not a boolean");
    return found->get<bool>();
}

std::string in_quotes(std::string_view text) {
    return to_text(json(text));
}

} // namespace

std::expected<Request, std::string> parse_request(std::string_view text) {
    auto message = parse_object(text);
    if (!message) return std::unexpected(message.error());
    const auto method = message->find("method");
    if (method == message->end() || !method->is_string()) return std::unexpected("'method' is not a string");

    Request request;
    request.method = method->get<std::string>();
    for (const auto& [name, member] :
         {std::pair{"more", &Request::more}, {"oneway", &Request::oneway}, {"upgrade", &Request::upgrade}}) {
        const auto value = flag(*message, name);
        if (!value) return std::unexpected(value.error());
        request.*member = *value;
    }
    auto parameters = take_parameters(*message);
    if (!parameters) return std::unexpected(parameters.error());
    request.parameters = std::move(*parameters);
    return request;
}

std::expected<Reply, std::string> parse_reply(std::string_view text) {
    auto message = parse_object(text);
    if (!message) return std::unexpected(message.error());
    Reply reply;
    if (const auto error = message->find("error"); error != message->end() && !error->is_null()) {
        if (!error->is_string()) return std::unexpected("'error' is not a string");
        reply.error = error->get<std::string>();
    }
    const auto continues = flag(*message, "continues");
    if (!continues) return std::unexpected(continues.error());
    reply.continues = *continues;
    auto parameters = take_parameters(*message);
    if (!parameters) return std::unexpected(parameters.error());
    reply.parameters = std::move(*parameters);
    return reply;
}

std::string request_message(std::string_view method, std::string_view parameters, bool more, bool oneway) {
    std::string text = R"({"method":)" + in_quotes(method) + R"(,"parameters":)" + std::string(parameters);
    if (more) text += R"(,"more":true)";
    if (oneway) text += R"(,"oneway":true)";
    return text + '}' + '\0';
}

std::string reply_message(std::string_view parameters, bool continues) {
    std::string text = R"({"parameters":)";
    text += parameters;
    if (continues) text += R"(,"continues":true)";
    return text + '}' + '\0';
}

std::string error_message(std::string_view error, std::string_view parameters) {
    return R"({"error":)" + in_quotes(error) + R"(,"parameters":)" + std::string(parameters) + '}' + '\0';
}

std::string to_text(const json& value) {
    return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

Inbox::Inbox(std::size_t limit, std::string received) : limit_(limit), bytes_(std::move(received)) {
    look();
}

void Inbox::append(std::string_view bytes) {
    // What was taken goes only now and then, so that a thousand small messages do not move the rest a thousand times.
    if (begin_ > 0 && begin_ >= bytes_.size() / 2) {
        bytes_.erase(0, begin_);
        looked_ -= begin_;
        if (end_of_message_) *end_of_message_ -= begin_;
        begin_ = 0;
    }
    bytes_.append(bytes);
    if (!end_of_message_) look();
}

std::optional<std::string> Inbox::take() {
    if (!end_of_message_) return std::nullopt;
    std::string message = bytes_.substr(begin_, *end_of_message_ - begin_);
    begin_ = looked_ = *end_of_message_ + 1;
    end_of_message_.reset();
    if (begin_ == bytes_.size()) {
        bytes_ = std::string(); // gives the memory of a large request back
        begin_ = looked_ = 0;
    }
    look();
    return message;
}

bool Inbox::oversized() const {
    return end_of_message_ ? *end_of_message_ - begin_ + 1 > limit_ : bytes_.size() - begin_ >= limit_;
}

void Inbox::look() {
    const std::size_t found = bytes_.find('\0', looked_);
    if (found == std::string::npos) {
        looked_ = bytes_.size();
    } else {
        end_of_message_ = looked_ = found;
    }
}

} // namespace keepd::control
