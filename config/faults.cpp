#include "config/faults.hpp"

#include <algorithm>

namespace keepd::config {

namespace {

// Keys and values come from the file: none may break the line or steer a terminal.
std::string printable(std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string result;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte != 0x7F)
            result += c;
        else
            result.append("\\u00") += {digits[byte >> 4], digits[byte & 15]};
    }
    return result;
}

} // namespace

std::string to_text(const Fault& fault) {
    std::string text = fault.file;
    if (fault.line != 0) text += ":" + std::to_string(fault.line) + ":" + std::to_string(fault.column);
    text += ": ";
    if (!fault.pointer.empty()) text += printable(fault.pointer) + ": ";
    return text + printable(fault.message);
}

std::string in_quotes(std::string_view text, char quote) {
    constexpr std::size_t longest = 60;
    std::string result(1, quote);
    if (text.size() <= longest) {
        result += text;
    } else {
        std::size_t cut = longest;
        while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xC0) == 0x80)
            --cut; // not inside a character
        result.append(text.substr(0, cut)).append("...");
    }
    return result += quote;
}

std::string describe(const Value& value) {
    switch (value->kind) {
    case Kind::null: return "null";
    case Kind::boolean: return value->truth ? "true" : "false";
    case Kind::number: return std::string(value->text.substr(0, 40));
    case Kind::string: return in_quotes(value->text, '"');
    case Kind::array: return "a list";
    case Kind::object: return "an object";
    }
    return "";
}

void Faults::enter(const std::string& file) {
    index_of(file);
}

std::size_t Faults::index_of(const std::string& file) {
    const auto found = std::find(files_.begin(), files_.end(), file);
    if (found != files_.end()) return static_cast<std::size_t>(found - files_.begin());
    files_.push_back(file);
    return files_.size() - 1;
}

void Faults::at(const Value& value, std::string message) {
    add_at(value, value->at, std::move(message));
}

void Faults::at_key(const Value& member, std::string message) {
    add_at(member, member->key_at, std::move(message));
}

void Faults::add_at(const Value& value, std::size_t offset, std::string message) {
    if (!known_.emplace(index_of(value.document->path()), offset, message).second) return;
    const Place place = value.document->place(offset);
    pending_.push_back({index_of(value.document->path()), offset, pending_.size(),
                        Fault{value.document->path(), place.line, place.column, value.document->pointer(*value.node),
                              std::move(message)}});
}

void Faults::add(Fault fault, std::size_t offset) {
    const std::size_t file = index_of(fault.file);
    if (!known_.emplace(file, offset, fault.message).second) return;
    pending_.push_back({file, offset, pending_.size(), std::move(fault)});
}

std::vector<Fault> Faults::take() {
    std::sort(pending_.begin(), pending_.end(), [](const Pending& a, const Pending& b) {
        return std::tie(a.file, a.offset, a.number) < std::tie(b.file, b.offset, b.number);
    });
    std::vector<Fault> faults;
    faults.reserve(pending_.size());
    for (Pending& one : pending_)
        faults.push_back(std::move(one.fault));
    pending_.clear();
    return faults;
}

} // namespace keepd::config
