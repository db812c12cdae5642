// A part of a test in a process of its own: what it does to itself (a seccomp filter stays for ever), and how it may
// fail (by a hang or a crash), then stays there.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <new>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <type_traits>

namespace keep::test {

// A T that forked processes share: what one of them wrote is there when it is gone.
template <typename T>
class Shared {
    static_assert(std::is_trivially_destructible_v<T>);

  public:
    Shared() {
        void* page = ::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED) throw std::bad_alloc();
        value_ = new (page) T{};
    }
    ~Shared() { ::munmap(value_, sizeof(T)); }
    Shared(const Shared&) = delete;
    Shared& operator=(const Shared&) = delete;

    T* operator->() const { return value_; }
    T& operator*() const { return *value_; }

  private:
    T* value_ = nullptr;
};

// Text that grows without a system call or an allocation; what is too much is cut off. One thread at a time may add.
class Notes {
  public:
    void add(std::string_view text) noexcept;
    void line(std::string_view text) noexcept {
        add(text);
        add("\n");
    }
    std::string_view text() const noexcept { return {text_, length_.load()}; }

  private:
    char text_[6000] = {};
    std::atomic<std::size_t> length_ = 0;
};

// What became of such a process.
struct Aftermath {
    bool hung = false;   // it was killed when the time was over
    int wait_status = 0; // of wait(2)
    std::string notes;   // what `body` noted: each line is a fault
    std::string orphans; // processes that it left behind, running or not; they have been killed and reaped

    // Nothing if it ended well; otherwise all that is known.
    std::string faults() const;
};

// Runs `body` in a child process, which exits with 0 after it; exceptions are noted. Call it without other threads.
Aftermath in_own_process(const std::function<void(Notes&)>& body,
                         std::chrono::seconds patience = std::chrono::seconds(20));

// Waits until `reached`, giving the processor to others meanwhile; false if that has not come within `patience`. For
// what nothing can be waited on for, such as the last moment of a thread that was joined.
bool comes_true(const std::function<bool()>& reached, std::chrono::seconds patience = std::chrono::seconds(5));

} // namespace keep::test
