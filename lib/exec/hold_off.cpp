#include "lib/exec/hold_off.hpp"

#include <atomic>
#include <chrono>
#include <thread>

namespace keep::exec {
namespace {

std::atomic<int> starting = 0;
std::atomic<int> replacing = 0;

} // namespace

Starting::Starting() {
    for (;;) {
        starting.fetch_add(1);
        const int now = replacing.load();
        if (now == 0) return;
        starting.fetch_sub(1);
        replacing.wait(now); // an exec that succeeds ends this thread
    }
}
Starting::~Starting() {
    starting.fetch_sub(1);
}

Replacing::Replacing() {
    replacing.fetch_add(1);
    const auto patience = std::chrono::steady_clock::now() + std::chrono::milliseconds(100);
    while (starting.load() > 0 && std::chrono::steady_clock::now() < patience)
        std::this_thread::yield();
}
Replacing::~Replacing() {
    replacing.fetch_sub(1);
    replacing.notify_all();
}

} // namespace keep::exec
