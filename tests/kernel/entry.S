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

/*
 * remote.h: a page for another PD's host space. At entry RDI = portal id, RSI = descriptor. The first answers with what it got; the second
 * sets its window to the words it got; the third replies with descriptor and call number from its portal's id, and tells
 * the status if it comes back from that.
 */
        .balign 4096
        .globl remote_code, remote_code_open, remote_code_reply
remote_code:
        mov     $1, %edi
        syscall
        ud2
remote_code_open:
        mov     $0x500000, %edx         /* REMOTE_UTCB */
        mov     (%rdx), %rax
        mov     %rax, 3584(%rdx)        /* window_base */
        mov     8(%rdx), %rax
        mov     %rax, 3592(%rdx)        /* window_count */
        xor     %esi, %esi
        mov     $1, %edi
        syscall
        ud2
remote_code_reply:
        mov     %edi, %esi
        shr     $32, %rdi
        syscall
        mov     $0x500000, %edx
        mov     %rax, (%rdx)
        mov     $2, %esi
        mov     $1, %edi
        syscall
        ud2
        .balign 4096

        .bss
        .balign 4096
        .skip   65536
root_stack_top:
