/* SPDX-License-Identifier: MIT */
/*
 * Exceptions and interrupts (APM volume 2, 8.9). From user code the processor and the code here push straight into the
 * current EC (TSS.RSP0), then the CPU's kernel stack is taken up from its top. In the kernel interrupts only come in its windows (cpu_take_interrupts,
 * cpu_idle) and are handled on the stack in use.
 */
#include "kernel/asm.h"

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
    .irp r, rax, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
    pushq %\r
    .endr
    .endm

    .macro pop_registers
    .irp r, r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax
    popq %\r
    .endr
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
    push_registers
    cld
    movq REGS_VECTOR(%rsp), %rdi
    movq REGS_ERROR(%rsp), %rsi
    movq %gs:CPU_STACK_TOP, %rsp
    xorl %ebp, %ebp
    call interrupt_from_user

entry_kernel:
    push_registers
    cld
    movq %rsp, %rdi
    call interrupt_from_kernel
    pop_registers
    iretq

    /* Back to user code with all of struct regs, RDI = struct regs of the current EC. */
    .balign 16
    .global entry_return
entry_return:
    movq %rdi, %rsp
    pop_registers
    swapgs
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
