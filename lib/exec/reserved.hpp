// Low descriptor numbers that the library keeps, so that a child needs only the low end of our table of descriptors
// although what it is given has high numbers. See reserve_descriptors().
#pragma once

#include <array>

namespace keep::exec {

// Some reserved numbers, held for one start. Lock-free, so that a fork in another thread finds nothing locked.
class Stage {
  public:
    static constexpr int places = 4; // three streams, and one more

    Stage() = default;
    Stage(const Stage&) = delete;
    Stage& operator=(const Stage&) = delete;
    ~Stage(); // the numbers hold nothing of the start's any more

    // Takes a free stage whose numbers lie below `limit`; false if there is none. The first call that finds nothing
    // reserved tries to reserve one.
    bool take(int limit);
    // Copies `fd` to the next place and returns that number; -1 if all are used, or the copy failed.
    int put(int fd);

  private:
    int index_ = -1;
    int used_ = 0;
};

} // namespace keep::exec
