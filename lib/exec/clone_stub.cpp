#include "lib/exec/clone_stub.hpp"

// The child's frame has no caller (cfi_undefined), for unwinders and debuggers. The arguments of the entry wait in
// registers that the system call leaves alone.
#if defined(__x86_64__)
asm(R"(
    .pushsection .text
    .globl keep_exec_clone3
    .hidden keep_exec_clone3
    .type keep_exec_clone3, @function
    .p2align 4
keep_exec_clone3:
    .cfi_startproc
    endbr64
    movq %rcx, %r8          # the call itself clobbers rcx and r11
    movl $435, %eax         # SYS_clone3
    syscall
    testq %rax, %rax
    jz 1f
    ret
1:  .cfi_undefined rip
    xorl %ebp, %ebp
    movq %r8, %rdi
    call *%rdx
    hlt
    .cfi_endproc
    .size keep_exec_clone3, . - keep_exec_clone3

    .globl keep_exec_clone
    .hidden keep_exec_clone
    .type keep_exec_clone, @function
    .p2align 4
keep_exec_clone:
    .cfi_startproc
    endbr64
    movq %rcx, %r9
    xorl %r10d, %r10d       # child_tid; r8 stands where tls would, and is not looked at
    movl $56, %eax          # SYS_clone
    syscall
    testq %rax, %rax
    jz 2f
    ret
2:  .cfi_undefined rip
    xorl %ebp, %ebp
    movq %r8, %rdi
    call *%r9
    hlt
    .cfi_endproc
    .size keep_exec_clone, . - keep_exec_clone
    .popsection
)");
#elif defined(__aarch64__)
asm(R"(
    .pushsection .text
    .globl keep_exec_clone3
    .hidden keep_exec_clone3
    .type keep_exec_clone3, %function
    .p2align 4
keep_exec_clone3:
    .cfi_startproc
    hint #34                // bti c
    mov x8, #435            // SYS_clone3
    svc #0
    cbz x0, 1f
    ret
1:  .cfi_undefined x30
    mov x29, #0
    mov x30, #0
    mov x0, x3
    blr x2
    brk #0
    .cfi_endproc
    .size keep_exec_clone3, . - keep_exec_clone3

    .globl keep_exec_clone
    .hidden keep_exec_clone
    .type keep_exec_clone, %function
    .p2align 4
keep_exec_clone:
    .cfi_startproc
    hint #34
    mov x9, x3
    mov x10, x4
    mov x3, #0              // tls
    mov x4, #0              // child_tid
    mov x8, #220            // SYS_clone
    svc #0
    cbz x0, 2f
    ret
2:  .cfi_undefined x30
    mov x29, #0
    mov x30, #0
    mov x0, x10
    blr x9
    brk #0
    .cfi_endproc
    .size keep_exec_clone, . - keep_exec_clone
    .popsection
)");
#endif
