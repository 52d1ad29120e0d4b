/* SPDX-License-Identifier: MIT */
/*
 * The world switch (APM volume 2, 15.5, 15.17). With GIF clear nothing can come between the look at the sticky bit and the guest, and an
 * interrupt that arrives in between makes VMRUN exit at once.
 *
 * bool svm_enter(struct abi_vcpu *state, uint64_t vmcb_phys, uint64_t host_vmcb_phys): false if the bit was set and the guest not entered.
 */
#define STATE_RECALL 0xd8 // checked in svm.c
#define GPR(n) ((n) * 8)

    .text
    .balign 16
    .global svm_enter
svm_enter:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    pushq %rdx
    pushq %rdi
    movq %rsi, %rax
    movq %rdi, %rsi
    clgi
    cmpl $0, STATE_RECALL(%rsi)
    jne 1f
    sti
    vmload %rax
    movq GPR(1)(%rsi), %rcx
    movq GPR(2)(%rsi), %rdx
    movq GPR(3)(%rsi), %rbx
    movq GPR(5)(%rsi), %rbp
    movq GPR(7)(%rsi), %rdi
    movq GPR(8)(%rsi), %r8
    movq GPR(9)(%rsi), %r9
    movq GPR(10)(%rsi), %r10
    movq GPR(11)(%rsi), %r11
    movq GPR(12)(%rsi), %r12
    movq GPR(13)(%rsi), %r13
    movq GPR(14)(%rsi), %r14
    movq GPR(15)(%rsi), %r15
    movq GPR(6)(%rsi), %rsi
    vmrun %rax
    vmsave %rax
    xchgq %rsi, (%rsp)
    movq %rcx, GPR(1)(%rsi)
    movq %rdx, GPR(2)(%rsi)
    movq %rbx, GPR(3)(%rsi)
    movq %rbp, GPR(5)(%rsi)
    movq %rdi, GPR(7)(%rsi)
    movq %r8, GPR(8)(%rsi)
    movq %r9, GPR(9)(%rsi)
    movq %r10, GPR(10)(%rsi)
    movq %r11, GPR(11)(%rsi)
    movq %r12, GPR(12)(%rsi)
    movq %r13, GPR(13)(%rsi)
    movq %r14, GPR(14)(%rsi)
    movq %r15, GPR(15)(%rsi)
    popq GPR(6)(%rsi)
    popq %rax
    vmload %rax
    movl $1, %eax
    cli
2:  stgi
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret
1:  addq $16, %rsp
    xorl %eax, %eax
    jmp 2b
    .section .note.GNU-stack, "", @progbits
