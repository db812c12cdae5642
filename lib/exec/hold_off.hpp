// While replace() executes, no start and no thread of this library begins: a new thread in the middle of an exec can
// make it fail (syscall.Exec of Go holds off its own threads alike).
#pragma once

namespace keep::exec {

// A start, or the making of a thread, goes on. Waits while an exec is under way.
class Starting {
  public:
    Starting();
    ~Starting();
    Starting(const Starting&) = delete;
    Starting& operator=(const Starting&) = delete;
};

// An exec is under way. Waits for those that have begun, but not for ever: in the child of a fork they never end.
class Replacing {
  public:
    Replacing();
    ~Replacing();
    Replacing(const Replacing&) = delete;
    Replacing& operator=(const Replacing&) = delete;
};

} // namespace keep::exec
