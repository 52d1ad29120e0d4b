/* SPDX-License-Identifier: MIT */
/* A guest that has instructions judged: into a test's state, and out of it by whatever exception ends it. */

        .code32
        .section .multiboot, "a"
        .balign 4
        .long   0x1badb002, 0x00000003, -(0x1badb002 + 0x00000003)

        .text
        .globl  _start
_start: mov     $judge_stack, %esp
        cld
        push    %ebx
        call    judge_main
1:      cli
        hlt
        jmp     1b

/* judge_enter(): loads what judge_frame says; returns when an exception has ended it (judge_leave). */
        .globl  judge_enter
judge_enter:
        push    %ebp
        push    %ebx
        push    %esi
        push    %edi
        mov     %esp, saved_esp
        mov     $judge_frame, %esp
        pop     %gs
        pop     %fs
        pop     %es
        pop     %ds
        popa
        lss     %cs:judge_entry_stack, %esp
        iret

/* Interrupt entries: vector and error code (0 where the processor pushes none) on the stack, then the common part. */
        .altmacro
        .macro  entry n
        .balign 16
        .if !(\n == 8 || (\n >= 10 && \n <= 14) || \n == 17)
        push    $0
        .endif
        push    $\n
        jmp     common
        .endm

        .balign 16
        .globl  judge_entries
judge_entries:
        .set    n, 0
        .rept   32
        entry   %n
        .set    n, n + 1
        .endr

common: pusha
        push    %ds
        push    %es
        push    %fs
        push    %gs
        mov     %ss, %ebx
        mov     %esp, %eax
        mov     $0x10, %ecx
        mov     %ecx, %ds
        mov     %ecx, %es
        mov     %ecx, %ss
        mov     saved_esp, %esp
        cld
        push    %eax
        push    %ebx
        call    judge_caught
        mov     saved_esp, %esp
        pop     %edi
        pop     %esi
        pop     %ebx
        pop     %ebp
        ret

/* Where the double fault's task begins: the same with its own stack, and vector 8. */
        .globl  judge_double
judge_double:
        push    $8
        jmp     common

        .bss
        .balign 16
saved_esp:
        .skip   4
        .skip   16384
judge_stack:
