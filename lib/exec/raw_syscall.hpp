// System calls without the C library: between clone and exec the child shares the parent's memory, and libc's
// wrappers would write errno, take locks, or (set*id) signal the parent's threads. Returns the kernel's value: a
// result, or -errno.
#pragma once

#include <cerrno>
#include <sys/syscall.h>
#include <unistd.h>

namespace keep::exec {

#if defined(__x86_64__)

[[gnu::always_inline]] inline long raw_syscall(long number, long a = 0, long b = 0, long c = 0, long d = 0,
                                               long e = 0) {
    long result = number;
    register long r10 asm("r10") = d;
    register long r8 asm("r8") = e;
    asm volatile("syscall" : "+a"(result) : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
    return result;
}

#elif defined(__aarch64__)

[[gnu::always_inline]] inline long raw_syscall(long number, long a = 0, long b = 0, long c = 0, long d = 0,
                                               long e = 0) {
    register long x8 asm("x8") = number;
    register long x0 asm("x0") = a;
    register long x1 asm("x1") = b;
    register long x2 asm("x2") = c;
    register long x3 asm("x3") = d;
    register long x4 asm("x4") = e;
    asm volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory", "cc");
    return x0;
}

#else

// Elsewhere by way of libc, whose errno is then the suspended parent thread's: it is put back.
inline long raw_syscall(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0) {
    const int saved = errno;
    const long result = ::syscall(number, a, b, c, d, e);
    const int code = errno;
    errno = saved;
    return result == -1 ? -code : result;
}

#endif

} // namespace keep::exec
