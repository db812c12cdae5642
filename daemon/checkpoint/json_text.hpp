// Writes indented JSON text, value by value. Made for printing saved forms; it reads nothing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace keepd::checkpoint {

class JsonText {
  public:
    void begin_object() { begin('{'); }
    void end_object() { end('}'); }
    void begin_array() { begin('['); }
    void end_array() { end(']'); }
    void key(std::string_view name); // inside an object, before each value

    void text(std::string_view); // bytes that are no UTF-8 show as U+FFFD
    void number(std::int64_t);
    void number(std::uint64_t);
    void number(double);
    void boolean(bool);
    void null();

    std::string take() { return std::move(out_); }

  private:
    void begin(char bracket);
    void end(char bracket);
    void before_value();
    void new_line();
    void in_quotes(std::string_view);

    std::string out_;
    int depth_ = 0;
    bool first_ = true;      // nothing stands in the innermost bracket yet
    bool after_key_ = false; // the next value belongs to a key
};

} // namespace keepd::checkpoint
