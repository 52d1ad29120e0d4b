/* SPDX-License-Identifier: MIT */
/*
 * The world switch (APM volume 2, 15.5, 15.17). With GIF clear nothing can come between the look at the sticky bit and the guest, and an
 * interrupt that arrives in between makes VMRUN exit at once.
 *
 * bool svm_enter(struct abi_vcpu *state, uint64_t vmcb_phys, uint64_t host_vmcb_phys): false if the bit was set and the guest not entered.
 */
#define STATE_RECALL 0xd8 // checked in svm.c
#define GPR(n) ((n) * 8)

    .macro load n, register
    movq GPR(\n)(%rsi), %\register
    .endm
    .macro store n, register
    movq %\register, GPR(\n)(%rsi)
    .endm
    /* All general registers but RAX (in the VMCB), RSP (too) and RSI. */
    .macro each what
    \what 1, rcx
    \what 2, rdx
    \what 3, rbx
    \what 5, rbp
    \what 7, rdi
    .irp n, 8, 9, 10, 11, 12, 13, 14, 15
    \what \n, r\n
    .endr
    .endm

    .text
    .balign 16
    .global svm_enter
svm_enter:
    .irp r, rbx, rbp, r12, r13, r14, r15, rdx, rdi
    pushq %\r
    .endr
    movq %rsi, %rax
    movq %rdi, %rsi
    clgi
    cmpl $0, STATE_RECALL(%rsi)
    jne 1f
    sti
    vmload %rax
    each load
    movq GPR(6)(%rsi), %rsi
    vmrun %rax
    vmsave %rax
    xchgq %rsi, (%rsp)
    each store
    popq GPR(6)(%rsi)
    popq %rax
    vmload %rax
    /*
     * QEMU's TCG clears the virtual interrupt request at #VMEXIT without its lock and can lose a physical one that comes at that
     * moment; writing the task priority makes its local APIC look again. Elsewhere it changes nothing: the priority is always 0.
     */
    xorl %eax, %eax
    movq %rax, %cr8
    movl $1, %eax
    cli
2:  stgi
    .irp r, r15, r14, r13, r12, rbp, rbx
    popq %\r
    .endr
    ret
1:  addq $16, %rsp
    xorl %eax, %eax
    jmp 2b
    .section .note.GNU-stack, "", @progbits
