/* SPDX-License-Identifier: MIT */
/*
 * Exceptions and interrupts (APM volume 2, 8.9). Those of user code save its registers in the current EC and start
 * at the top of the CPU's kernel stack, which holds nothing then. In the kernel interrupts only come in its windows (cpu_take_interrupts,
 * cpu_idle) and are handled on the stack in use.
 */
#include "kernel/asm.h"
#include "kernel/offsets.h"

    .macro stub vector
    .balign 16
    .if (\vector == 8) || (\vector >= 10 && \vector <= 14) || (\vector == 17) || (\vector == 21) || (\vector == 29) || (\vector == 30)
    .else
    pushq $0
    .endif
    pushq $\vector
    .if (\vector == 8) || (\vector == 18)
    jmp fatal
    .else
    jmp entry
    .endif
    .endm

    .macro push_registers
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rbx
    pushq %rbp
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    .endm

    .macro pop_registers
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rbp
    popq %rbx
    popq %rdx
    popq %rcx
    popq %rax
    addq $16, %rsp
    .endm

    .text
    .balign 16
    .global entry_stubs
entry_stubs:
    .set vector, 0
    .rept 256
    stub vector
    .set vector, vector + 1
    .endr

    .balign 16
entry:
    testb $3, 24(%rsp)
    jz entry_kernel
    swapgs
    pushq %rax
    movq %gs:CPU_CURRENT, %rax
    movq %rcx, EC_RCX(%rax)
    movq %rdx, EC_RDX(%rax)
    movq %rbx, EC_RBX(%rax)
    movq %rbp, EC_RBP(%rax)
    movq %rsi, EC_RSI(%rax)
    movq %rdi, EC_RDI(%rax)
    movq %r8, EC_R8(%rax)
    movq %r9, EC_R9(%rax)
    movq %r10, EC_R10(%rax)
    movq %r11, EC_R11(%rax)
    movq %r12, EC_R12(%rax)
    movq %r13, EC_R13(%rax)
    movq %r14, EC_R14(%rax)
    movq %r15, EC_R15(%rax)
    popq EC_RAX(%rax)
    popq %rdi
    popq %rsi
    popq EC_RIP(%rax)
    popq %rcx
    popq EC_RFLAGS(%rax)
    popq EC_RSP(%rax)
    movq %gs:CPU_STACK_TOP, %rsp
    cld
    xorl %ebp, %ebp
    call interrupt_from_user

entry_kernel:
    push_registers
    cld
    movq %rsp, %rdi
    call interrupt_from_kernel
    pop_registers
    iretq

    /* #DF and #MC, on stacks of their own; GS may be the user's. */
fatal:
    push_registers
    cld
    movq %rsp, %rdi
    call interrupt_fatal

    /* NMI: only used to stop the machine after a panic; any other is not ours to explain and is let pass. */
    .balign 16
    .global entry_nmi
entry_nmi:
    cmpl $0, panicking(%rip)
    jne 1f
    iretq
1:  cli
    hlt
    jmp 1b
    .section .note.GNU-stack, "", @progbits
