/* SPDX-License-Identifier: MIT */
/* What the litmus tests need of 64-bit code: increments of 8 and 16 bytes by several processors. */

        .code32
        .text

/* void litmus_long(void *numbers, uint32_t count, void *cr3): paging with PAE is on; to long mode for the increments, and back. */
        .globl  litmus_long
litmus_long:
        push    %ebx
        push    %esi
        push    %edi
        push    %ebp
        pushf
        cli
        mov     24(%esp), %edi
        mov     28(%esp), %esi
        mov     32(%esp), %ebp
        mov     %cr3, %ebx
        push    %ebx
        mov     %cr0, %ebx
        and     $0x7fffffff, %ebx
        mov     %ebx, %cr0
        mov     %ebp, %cr3
        mov     $0xc0000080, %ecx
        rdmsr
        or      $0x100, %eax            /* LME */
        wrmsr
        or      $0x80000000, %ebx
        mov     %ebx, %cr0
        lcall   $24, $increments
        mov     %cr0, %ebx
        and     $0x7fffffff, %ebx
        mov     %ebx, %cr0
        mov     $0xc0000080, %ecx
        rdmsr
        and     $~0x100, %eax
        wrmsr
        pop     %eax
        mov     %eax, %cr3
        or      $0x80000000, %ebx
        mov     %ebx, %cr0
        popf
        pop     %ebp
        pop     %edi
        pop     %esi
        pop     %ebx
        ret

/* The low half of the first number counts ones, the high one threes; the second number is a plain quadword, in two cache lines. */
        .code64
increments:
        mov     %esp, %esp
        mov     %edi, %edi
1:      mov     (%rdi), %rax
        mov     8(%rdi), %rdx
2:      lea     1(%rax), %rbx
        lea     3(%rdx), %rcx
        lock cmpxchg16b (%rdi)
        jnz     2b
        lock incq 16(%rdi)
        lock incq 60(%rdi)
        dec     %esi
        jnz     1b
        lretl
