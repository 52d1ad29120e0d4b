/* SPDX-License-Identifier: MIT */
/*
 * SYSCALL and SYSRET (APM volume 2, 6.1.1). On entry RCX holds the user's RIP, R11 its RFLAGS, and
 * SFMASK has cleared IF. All registers that the hypercall interface names are saved in the current
 * EC, so that it can be left at any point.
 */
#include "kernel/asm.h"

#define USER_RFLAGS_INITIAL 0x202

    /* RDI: the EC, whose registers that calls keep are in place; RAX and RSI are the results. */
    .macro return_to_caller
    movq REGS_RIP(%rdi), %rcx
    movq REGS_RFLAGS(%rdi), %r11
    movq REGS_RSP(%rdi), %rsp
    xorl %edx, %edx
    xorl %edi, %edi
    xorl %r8d, %r8d
    xorl %r9d, %r9d
    xorl %r10d, %r10d
    swapgs
    sysretq
    .endm

    .text
    .global schedule
schedule:
    movq %gs:CPU_STACK_TOP, %rsp
    xorl %ebp, %ebp
    call schedule_on_top

    .balign 64
    .global syscall_entry
syscall_entry:
    swapgs
    movq %rsp, %gs:CPU_SCRATCH
    movq %gs:CPU_CURRENT, %rsp
    movq %rdi, REGS_RDI(%rsp)
    movq %rsi, REGS_RSI(%rsp)
    movq %rdx, REGS_RDX(%rsp)
    movq %rax, REGS_RAX(%rsp)
    movq %r8, REGS_R8(%rsp)
    movq %r9, REGS_R9(%rsp)
    movq %r10, REGS_R10(%rsp)
    movq %rbx, REGS_RBX(%rsp)
    movq %rbp, REGS_RBP(%rsp)
    movq %r12, REGS_R12(%rsp)
    movq %r13, REGS_R13(%rsp)
    movq %r14, REGS_R14(%rsp)
    movq %r15, REGS_R15(%rsp)
    movq %rcx, REGS_RIP(%rsp)
    movq %r11, REGS_RFLAGS(%rsp)
    movl %edi, %eax
    movq %rsp, %rdi
    movq %gs:CPU_SCRATCH, %rdx
    movq %rdx, REGS_RSP(%rdi)
    movq %gs:CPU_STACK_TOP, %rsp
    testb %al, %al
    jz ipc_call
    cmpb $1, %al
    je ipc_reply
    call hypercall
    /* RAX = status, RDX = value. The registers that calls keep are kept by the C code. */
    movq %gs:CPU_CURRENT, %rdi
    movq %rdx, %rsi
    return_to_caller

    /* syscall_enter(struct ec *to, id, descriptor, rip): into a portal. */
    .balign 16
    .global syscall_enter
syscall_enter:
    movq REGS_RSP(%rdi), %rsp
    movq %rsi, %rdi
    movq %rdx, %rsi
    movl $USER_RFLAGS_INITIAL, %r11d
    xorl %eax, %eax
    xorl %edx, %edx
    xorl %ebx, %ebx
    xorl %ebp, %ebp
    xorl %r8d, %r8d
    xorl %r9d, %r9d
    xorl %r10d, %r10d
    xorl %r12d, %r12d
    xorl %r13d, %r13d
    xorl %r14d, %r14d
    xorl %r15d, %r15d
    swapgs
    sysretq

    /* syscall_leave(struct ec *to, status, value): out of the hypercall that it made. */
    .balign 16
    .global syscall_leave
syscall_leave:
    movl %esi, %eax
    movq %rdx, %rsi
    movq REGS_RBX(%rdi), %rbx
    movq REGS_RBP(%rdi), %rbp
    movq REGS_R12(%rdi), %r12
    movq REGS_R13(%rdi), %r13
    movq REGS_R14(%rdi), %r14
    movq REGS_R15(%rdi), %r15
    return_to_caller
    .section .note.GNU-stack, "", @progbits
