#include "lib/exec/head_tail.hpp"

#include <algorithm>

namespace keep::exec {

void HeadTail::append(std::string_view bytes) {
    const std::size_t to_head = std::min(limit_ - head_.size(), bytes.size());
    head_.append(bytes.substr(0, to_head));
    bytes.remove_prefix(to_head);
    if (bytes.size() > limit_) { // all but its end is overwritten at once
        omitted_ += bytes.size() - limit_;
        bytes.remove_prefix(bytes.size() - limit_);
    }
    const std::size_t to_fill = std::min(limit_ - tail_.size(), bytes.size());
    tail_.append(bytes.substr(0, to_fill));
    bytes.remove_prefix(to_fill);
    omitted_ += bytes.size();
    while (!bytes.empty()) {
        const std::size_t now = std::min(limit_ - oldest_, bytes.size());
        std::copy_n(bytes.data(), now, tail_.data() + oldest_);
        bytes.remove_prefix(now);
        oldest_ = (oldest_ + now) % limit_;
    }
}

std::string HeadTail::text() const {
    std::string text = head_;
    if (omitted_ > 0) text += "\n... omitting " + std::to_string(omitted_) + " bytes ...\n";
    text.append(tail_, oldest_);
    text.append(tail_, 0, oldest_);
    return text;
}

} // namespace keep::exec
