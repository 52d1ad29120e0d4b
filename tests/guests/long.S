/* SPDX-License-Identifier: MIT */
/*
 * Between 32-bit C, which runs in compatibility mode, and code of any size that is entered by IRETQ from a frame and left by an exception or interrupt.
 * The frame lies where IST 1 pushes it, so both ways use the same place.
 */
#define CS32 0x08
#define DATA 0x10
#define CS64 0x18

        .code32
        .text

/* void long_mode(void): CR3 is loaded; to long mode, compatibility code. */
        .globl  long_mode
long_mode:
        mov     $0xc0000080, %ecx
        rdmsr
        or      $0x901, %eax            /* NXE, LME, SCE */
        wrmsr
        mov     %cr0, %eax
        or      $0x80010001, %eax       /* PG, WP */
        mov     %eax, %cr0
        ljmp    $CS32, $1f
1:      ret

/* void long_run(void): enters the frame; returns when long_event() answers 0. */
        .globl  long_run
long_run:
        push    %ebx
        push    %esi
        push    %edi
        push    %ebp
        pushf
        mov     %esp, long_stack
        ljmp    $CS64, $enter
left:   mov     long_stack, %esp
        popf
        pop     %ebp
        pop     %edi
        pop     %esi
        pop     %ebx
        ret

event:  call    long_event
        test    %eax, %eax
        jz      left
        ljmp    $CS64, $enter

/* Everything that the code could have changed and C stands on is put back. */
        .code64
common64:
        push    %rax
        push    %rcx
        push    %rdx
        push    %rbx
        push    %rbp
        push    %rsi
        push    %rdi
        push    %r8
        push    %r9
        push    %r10
        push    %r11
        push    %r12
        push    %r13
        push    %r14
        push    %r15
        mov     long_cr3(%rip), %eax
        mov     %rax, %cr3
        mov     $0x80010033, %eax
        mov     %rax, %cr0
        xor     %eax, %eax
        mov     %rax, %dr7
        mov     $DATA, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss
        mov     long_stack(%rip), %esp
        cld
        ljmp    *to_event(%rip)

enter:  mov     $DATA, %eax
        mov     %eax, %ss
        mov     long_frame(%rip), %esp
        mov     long_data(%rip), %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     long_cr3_inside(%rip), %eax
        mov     %rax, %cr3
        pop     %r15
        pop     %r14
        pop     %r13
        pop     %r12
        pop     %r11
        pop     %r10
        pop     %r9
        pop     %r8
        pop     %rdi
        pop     %rsi
        pop     %rbp
        pop     %rbx
        pop     %rdx
        pop     %rcx
        pop     %rax
        add     $16, %rsp
        iretq

        .altmacro
        .macro  entry64 n
        .balign 16
        .if !(\n == 8 || (\n >= 10 && \n <= 14) || \n == 17)
        pushq   $0
        .endif
        pushq   $\n
        jmp     common64
        .endm

        .balign 16
        .globl  long_entries
long_entries:
        .set    n, 0
        .rept   256
        entry64 %n
        .set    n, n + 1
        .endr

/* SYSCALL and SYSENTER come here, on whatever stack. */
        .globl  long_call
long_call:
        int     $0x81

        .data
        .balign 8
to_event:
        .long   event
        .word   CS32

        .bss
        .balign 8
        .globl  long_stack, long_cr3, long_cr3_inside, long_frame, long_data
long_stack:             .skip 8
long_cr3:               .skip 8
long_cr3_inside:        .skip 8
long_frame:             .skip 8
long_data:              .skip 8
