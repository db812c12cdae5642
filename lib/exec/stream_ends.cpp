#include "lib/exec/stream_ends.hpp"

namespace keep::exec {

Source Source::owned(Fd fd) {
    Source source;
    source.shared_ = std::make_shared<Shared>();
    source.shared_->descriptor = true;
    source.shared_->owned = std::move(fd);
    return source;
}

Source Source::bytes(std::string text) {
    Source source;
    source.shared_ = std::make_shared<Shared>();
    source.shared_->text = std::move(text);
    return source;
}

Source Source::reader(ReadFunction read) {
    Source source;
    source.shared_ = std::make_shared<Shared>();
    source.shared_->read = std::move(read);
    return source;
}

Sink Sink::owned(Fd fd) {
    auto shared = std::make_shared<Shared>();
    shared->descriptor = true;
    shared->owned = std::move(fd);
    return Sink(std::move(shared));
}

Sink Sink::buffer(std::string& into) {
    auto shared = std::make_shared<Shared>();
    shared->text = &into;
    return Sink(std::move(shared));
}

Sink Sink::buffer(Bytes& into) {
    auto shared = std::make_shared<Shared>();
    shared->bytes = &into;
    return Sink(std::move(shared));
}

Sink Sink::writer(WriteFunction write) {
    auto shared = std::make_shared<Shared>();
    shared->write = std::move(write);
    return Sink(std::move(shared));
}

} // namespace keep::exec
