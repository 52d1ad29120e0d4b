/* SPDX-License-Identifier: MIT */
/* From the boot loader (Multiboot 1 or 2, 32-bit protected mode) or a start-up interrupt to 64-bit C at the top of the address space. */
#include "kernel/asm.h"

#define PHYS(x) ((x) - KERNEL_BASE)
#define BOOT_CS 0x08
#define BOOT_DS 0x10
#define BOOT_CS32 0x18

#define CR0_PE_MP_ET_NE_WP_PG 0x80010033
#define CR4_PAE 0x20
#define EFER_LME_NXE 0x900
#define MSR_EFER 0xc0000080

    .macro load_segments
    movl $BOOT_DS, %eax
    .irp segment, ss, ds, es
    movl %eax, %\segment
    .endr
    .endm

    .section .boot.header, "a"
    .balign 8
    /* Multiboot 1 (3.1.1): flags 0 page-aligned modules, 1 memory map. */
    .long 0x1badb002, 0x3, -(0x1badb002 + 0x3)
    .balign 8
multiboot2:
    /* Multiboot 2 (3.1.1), architecture 0: i386 protected mode; tags: page-aligned modules, end. */
    .long 0xe85250d6, 0, multiboot2_end - multiboot2, -(0xe85250d6 + multiboot2_end - multiboot2)
    .short 6, 0
    .long 8
    .short 0, 0
    .long 8
multiboot2_end:

    .section .boot, "ax"
    .code32
    .global boot_entry
boot_entry:
    cli
    cld
    movl %eax, %edi
    movl %ebx, %esi
    movl $PHYS(boot_stack_top), %esp

    /* Identity for 4 GiB in 2 MiB pages, and the first GiB again at KERNEL_BASE. */
    movl $PHYS(boot_pd), %ebx
    movl $0x83, %eax
    xorl %edx, %edx
1:  movl %eax, (%ebx)
    movl %edx, 4(%ebx)
    addl $8, %ebx
    addl $0x200000, %eax
    jnc 1b
    movl $PHYS(boot_pdpt_low), %ebx
    movl $PHYS(boot_pd) + 3, %eax
    movl $4, %ecx
2:  movl %eax, (%ebx)
    addl $8, %ebx
    addl $0x1000, %eax
    loop 2b
    movl $PHYS(boot_pd) + 3, PHYS(boot_pdpt_high) + 510 * 8
    movl $PHYS(boot_pdpt_low) + 3, PHYS(boot_pml4)
    movl $PHYS(boot_pdpt_high) + 3, PHYS(boot_pml4) + 511 * 8

    call enter_long_mode
    ljmp $BOOT_CS, $boot_entry64

    /* Returns in compatibility mode; keeps EDI and ESI. */
enter_long_mode:
    lgdt boot_gdtr
    movl $CR4_PAE, %eax
    movl %eax, %cr4
    movl $PHYS(boot_pml4), %eax
    movl %eax, %cr3
    movl $MSR_EFER, %ecx
    rdmsr
    orl $EFER_LME_NXE, %eax
    wrmsr
    movl $CR0_PE_MP_ET_NE_WP_PG, %eax
    movl %eax, %cr0
    ret

    .code64
boot_entry64:
    load_segments
    movq $boot_stack_top, %rsp
    movabsq $boot_main, %rax
    pushq $0
    jmp *%rax

    /*
     * Where another CPU starts: copied to a page below 1 MiB, real mode, CS = page. It goes through the identity mapping to the
     * same code, takes the stack left for it, and halts for good if there is none (it came too late).
     */
    .code16
    .global trampoline, trampoline_end
trampoline:
    cli
    movw %cs, %ax
    movw %ax, %ds
    lgdtl boot_gdtr16 - trampoline
    movl %cr0, %eax
    orl $1, %eax
    movl %eax, %cr0
    ljmpl $BOOT_CS32, $trampoline32
boot_gdtr16:
    .short boot_gdt_end - boot_gdt - 1
    .long boot_gdt
trampoline_end:

    .code32
trampoline32:
    load_segments
    /* One at a time: the boot CPU starts the next only when this one is done with the boot stack. */
    movl $PHYS(boot_stack_top), %esp
    call enter_long_mode
    ljmp $BOOT_CS, $trampoline64
    .code64
trampoline64:
    load_segments
    xorl %eax, %eax
    movabsq $ap_stack, %rdx
    xchgq %rax, (%rdx)
    testq %rax, %rax
    jz 3f
    movq %rax, %rsp
    pushq $0
    movabsq $boot_main_ap, %rax
    jmp *%rax
3:  cli
    hlt
    jmp 3b

    .balign 8
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
    .quad 0x00cf9b000000ffff
boot_gdt_end:
boot_gdtr:
    .short boot_gdt_end - boot_gdt - 1
    .long boot_gdt

    .bss
    .balign 4096
    .global boot_pml4, boot_pdpt_high
boot_pml4:      .skip 4096
boot_pdpt_low:  .skip 4096
boot_pdpt_high: .skip 4096
boot_pd:        .skip 4 * 4096
boot_stack:     .skip 8192
boot_stack_top:
    .global ap_stack
    .balign 8
ap_stack:       .skip 8
    .section .note.GNU-stack, "", @progbits
