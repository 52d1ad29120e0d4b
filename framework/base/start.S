/* SPDX-License-Identifier: MIT */
/* Where a component or root task begins: its own stack, then C. */
        .section .text.start, "ax"
        .globl  _start
_start:
        leaq    start_stack_top(%rip), %rsp
        xorl    %ebp, %ebp
        call    start_program
        ud2

        .section .bss
        .balign 4096
        .globl  start_stack_top
start_stack:
        .skip   65536
start_stack_top:

        .section .note.GNU-stack, "", @progbits
