/* SPDX-License-Identifier: MIT */
/*
 * A ROM of 128 KiB for tests/linux/bios.t: from the reset vector through real mode into protected
 * mode and user level and back by a call gate. The self test code says how far it came; the end is
 * a debug exit at port 501h with 7 if all was right, else 1.
 */
#define POST(code) mov $code, %al; out %al, $0x80
#define RAM        0x8000         /* GDT, TSS */
#define LINEAR(x)  (0xf0000 + (x))

    .code16
start:
    cli
    POST(0x10)
    mov $0xf000, %ax              /* the shadow below 1 MiB */
    mov %ax, %ds
    cmpl $0x4d4f5254, mark
    jne bad16
    POST(0x11)
    xor %ax, %ax
    mov %ax, %es
    mov $gdt, %si
    mov $RAM, %di
    mov $gdt_end - gdt, %cx
    cld
    rep movsb
    lgdtl pointer
    mov %cr0, %eax
    or $1, %al
    mov %eax, %cr0
    ljmpl $0x08, $LINEAR(flat)
bad16:
    mov $0x501, %dx
    mov $1, %al
    out %al, %dx
    hlt

    .code32
flat:
    mov $0x10, %ax
    mov %ax, %ds
    mov %ax, %es
    mov %ax, %ss
    mov $0x7000, %esp
    POST(0x20)
    cmpl $0x4d4f5254, 0xffff0000 + mark /* the ROM below 4 GiB ... */
    jne bad
    movl $0, 0xffff0000 + mark          /* ... which is read-only */
    cmpl $0x4d4f5254, 0xffff0000 + mark
    jne bad
    POST(0x21)
    call a20
    POST(0x22)
    movl $0x6000, RAM + 0x104           /* the TSS: ESP0, SS0 */
    movl $0x10, RAM + 0x108
    mov $0x30, %ax
    ltr %ax
    push $0x23
    push $0x5000
    push $0x1b
    push $LINEAR(user)
    lret
user:
    mov $0x23, %ax
    mov %ax, %ds
    push $0x12345678                    /* the gate's parameter */
    lcall $0x28, $0
bad:
    mov $1, %al
    jmp end
inner:
    mov %cs, %ax
    cmp $0x08, %ax
    jne bad
    cmpl $0x12345678, 8(%esp)
    jne bad
    cmpl $0x23, 16(%esp)
    jne bad
    POST(0x30)
    mov $7, %al
end:
    mov $0x501, %dx
    out %al, %dx
    hlt

/*
 * The A20 gate, by port 92h and by the keyboard controller, for data, code and page tables, before
 * and behind a translation. LOW and HIGH are apart by bit 20; the 4 MiB page at 0 maps itself, the
 * page at 4 MiB maps HIGH's.
 */
#define LOW   0x88f0
#define HIGH  0x1088f0
#define ALIAS 0x4008f0
a20:
    movl $0xc3402404, LOW               /* add $0x24, %al; inc %eax; ret */
    movl $0xc3404804, HIGH              /* add $0x48, %al; ... */
    mov $LOW, %edi
    mov $HIGH, %ebx
    call through
    movl $0x83, 0x9000
    movl $0xa003, 0x9004
    movl $HIGH - 0x8f0 + 3, 0xa000
    movl $0x9000, %eax
    mov %eax, %cr3
    mov %cr4, %eax
    or $0x10, %eax
    mov %eax, %cr4
    mov %cr0, %eax
    or $0x80000000, %eax
    mov %eax, %cr0
    call through
    mov $ALIAS, %ebx
    call through
    mov %cr0, %eax
    and $0x7fffffff, %eax
    mov %eax, %cr0
    ret
through:
    mov $0x49, %ecx                     /* open: HIGH's code */
    call look
    mov $0, %al
    out %al, $0x92
    mov $0x25, %ecx                     /* masked: LOW's */
    call look
    movb $0x12, 1(%ebx)                 /* LOW is written to */
    mov $0x13, %ecx
    call look
    mov $2, %al
    out %al, $0x92
    cmpb $0x12, 1(%edi)
    jne bad
    movb $0x24, 1(%edi)
    mov $0x49, %ecx
    call look
    mov $0xdd, %al
    out %al, $0x64
    mov $0x25, %ecx
    call look
    mov $0xdf, %al
    out %al, $0x64
    mov $0x49, %ecx
look:                                   /* the code at EBX says ECX, its bytes say so too */
    xor %eax, %eax
    call *%ebx
    cmp %ecx, %eax
    jne bad
    dec %eax
    cmp %al, 1(%ebx)
    jne bad
    ret

    .balign 8
mark:
    .long 0x4d4f5254
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff
    .quad 0x00cf93000000ffff
    .quad 0x00cffb000000ffff
    .quad 0x00cff3000000ffff
    .word inner, 0x08, 0xec01, 0x000f   /* a call gate of DPL 3 with one parameter */
    .quad 0x0000890081000067            /* the TSS at RAM + 100h */
gdt_end:
pointer:
    .word gdt_end - gdt - 1
    .long RAM

    .org 0xfff0
    .code16
    ljmp $0xf000, $start
    .org 0x10000
