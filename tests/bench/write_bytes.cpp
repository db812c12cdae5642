// Writes argv[1] bytes to its standard output, 64 KiB at a time. No libc: what a capture costs is then the capture.
#include <sys/syscall.h>

namespace {

constexpr long piece = 65536;
char bytes[piece]; // NOLINT(modernize-avoid-c-arrays): no libc, so nothing that could fill a std::array

#if defined(__x86_64__)
long call(long number, long a, long b, long c) {
    long result = number;
    asm volatile("syscall" : "+a"(result) : "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
long call(long number, long a, long b, long c) {
    register long x8 asm("x8") = number;
    register long x0 asm("x0") = a;
    register long x1 asm("x1") = b;
    register long x2 asm("x2") = c;
    asm volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
    return x0;
}
#endif

} // namespace

// The stack as the kernel leaves it: the count of arguments, then the arguments.
extern "C" [[noreturn, gnu::used]] void begin(const long* stack) {
    const long count = stack[0];
    const char* const* const arguments = reinterpret_cast<const char* const*>(stack + 1);
    long left = 0;
    if (count > 1) {
        for (const char* digit = arguments[1]; *digit != '\0'; ++digit)
            left = left * 10 + (*digit - '0');
    }
    for (char& byte : bytes) // volatile: no call of memset, which would be libc's
        *static_cast<volatile char*>(&byte) = 'x';
    long code = 0;
    while (left > 0 && code == 0) {
        const long written = call(SYS_write, 1, reinterpret_cast<long>(bytes), left < piece ? left : piece);
        if (written <= 0) code = 1;
        left -= written;
    }
    for (;;)
        call(SYS_exit_group, code, 0, 0);
}

#if defined(__x86_64__)
asm(".globl _start\n_start:\n    xorl %ebp, %ebp\n    movq %rsp, %rdi\n    andq $-16, %rsp\n    call begin\n    hlt\n");
#elif defined(__aarch64__)
asm(".globl _start\n_start:\n    mov x0, sp\n    bl begin\n    brk #0\n");
#endif
