/* SPDX-License-Identifier: MIT */
/* Where a test guest begins: Multiboot 1, 32-bit protected mode, paging off. */

        .code32
        .section .multiboot, "a"
        .balign 4
        .long   0x1badb002, 0x00000003, -(0x1badb002 + 0x00000003)

        .text
        .globl  _start
_start: mov     $stack_top, %esp
        push    $0
        popf
        push    %ebx
        push    %eax
        call    guest_main
1:      cli
        hlt
        jmp     1b

/* Where another CPU begins, copied to 8000h: real mode, then protected mode like the first. */
        .code16
        .globl  ap_start, ap_end
ap_start:
        cli
        xor     %ax, %ax
        mov     %ax, %ds
        lgdtl   0x8000 + ap_gdtr - ap_start
        mov     %cr0, %eax
        or      $1, %eax
        mov     %eax, %cr0
        ljmpl   $8, $ap_protected
        .balign 8
ap_gdt: .quad   0, 0x00cf9b000000ffff, 0x00cf93000000ffff
ap_gdtr:
        .word   23
        .long   0x8000 + ap_gdt - ap_start
ap_end:
        .code32
ap_protected:
        mov     $16, %eax
        mov     %eax, %ds
        mov     %eax, %es
        mov     %eax, %ss
        mov     0xfee00020, %eax        /* the local APIC's ID, in the upper byte: up to 3 */
        shr     $10, %eax
        lea     stack_top(%eax), %esp
        lidt    guest_idtr
        call    *ap_entry

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
        .globl  entries
entries:
        .set    n, 0
        .rept   256
        entry   %n
        .set    n, n + 1
        .endr

common: pusha
        cld
        push    %esp
        call    guest_interrupt
        add     $4, %esp
        popa
        add     $8, %esp
        iret

        .data
        .globl  ap_entry
ap_entry:
        .long   ap_main

        .bss
        .balign 16
        .skip   16384
stack_top:
        .skip   3 * 16384
