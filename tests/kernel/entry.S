/* SPDX-License-Identifier: MIT */
/* Where the root thread, servers and threads of the kernel tests begin. */

        .section .text.start, "ax"
        .globl _start
_start: lea     root_stack_top(%rip), %rsp
        xor     %ebp, %ebp
        call    test_main
1:      jmp     1b

        .text
/* A portal: the word at the stack's top is the handler; RSP at the reply is RSP at the next entry. */
        .globl portal_entry
portal_entry:
        mov     (%rsp), %rax
        call    *%rax
        mov     %rax, %rsi
        mov     $1, %edi
        mov     %rax, %rdx
        shr     $63, %rdx               /* bit 63 of the handler's result: stop the thread that caused the event */
        shl     $8, %rdx
        or      %rdx, %rdi
        btr     $63, %rsi
        syscall
        ud2

/* A thread: the word at the stack's top is its function, which must not return. */
        .globl thread_entry
thread_entry:
        mov     (%rsp), %rax
        call    *%rax
        ud2

        .globl fault_here
fault_here:
        ud2

        .bss
        .balign 4096
        .skip   65536
root_stack_top:
