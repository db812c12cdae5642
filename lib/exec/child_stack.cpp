#include "lib/exec/child_stack.hpp"

#include <cerrno>
#include <sys/mman.h>
#include <unistd.h>

namespace keep::exec {
namespace {

constexpr std::size_t stack_size = 64 * 1024;

struct Mapped {
    char* base = nullptr;
    std::size_t guard = 0;
    ~Mapped() {
        if (base != nullptr) ::munmap(base, guard + stack_size);
    }
};
thread_local Mapped mapped;

} // namespace

keep::Result<ChildStack> child_stack() {
    if (mapped.base == nullptr) {
        const auto guard = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
        void* base = ::mmap(nullptr, guard + stack_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
        if (base == MAP_FAILED) return fail_errno("mmap child stack", "", errno);
        if (::mprotect(static_cast<char*>(base) + guard, stack_size, PROT_READ | PROT_WRITE) != 0) {
            const int code = errno;
            ::munmap(base, guard + stack_size);
            return fail_errno("mprotect child stack", "", code);
        }
        mapped.base = static_cast<char*>(base);
        mapped.guard = guard;
    }
    return ChildStack{mapped.base + mapped.guard, stack_size};
}

} // namespace keep::exec
