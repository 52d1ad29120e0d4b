/* SPDX-License-Identifier: MIT */
/* Stubs of the host's VEX instructions, and what calls them (host_vex.h). */

        .text

/* rdi: struct host_vex, rsi: stub. */
        .globl host_vex_run
host_vex_run:
        sub $8, %rsp
        stmxcsr (%rsp)
        ldmxcsr 160(%rdi)
        vmovups 0(%rdi), %ymm0
        vmovups 32(%rdi), %ymm1
        vmovups 64(%rdi), %ymm2
        vmovups 96(%rdi), %ymm3
        mov 128(%rdi), %rax
        mov 136(%rdi), %rcx
        mov 144(%rdi), %rdx
        call *%rsi
        pushfq
        popq 152(%rdi)
        mov %rcx, 136(%rdi)
        mov %rdx, 144(%rdi)
        vmovups %ymm0, 0(%rdi)
        vmovups %ymm1, 32(%rdi)
        vmovups %ymm2, 64(%rdi)
        vzeroupper
        stmxcsr 160(%rdi)
        ldmxcsr (%rsp)
        add $8, %rsp
        ret

/* 256 stubs: VEX prefix, opcode, modrm CA (reg 1, rm 2). */
        .macro opcodes map, w, l, pp
        .set value, 0
        .rept 256
        .byte 0xc4, 0xe0 + \map, \w * 0x80 + 0x78 + \l * 4 + \pp, value, 0xca, 0xc3
        .balign 8, 0xcc
        .set value, value + 1
        .endr
        .endm

        .balign 64
        .globl host_vex_0f
host_vex_0f:
        .irp l, 0, 1
        opcodes 1, 0, \l, 0
        opcodes 1, 0, \l, 1
        opcodes 1, 0, \l, 2
        opcodes 1, 0, \l, 3
        .endr
        opcodes 1, 1, 0, 2
        opcodes 1, 1, 0, 3

        .globl host_vex_38
host_vex_38:
        opcodes 2, 0, 0, 1
        opcodes 2, 0, 1, 1
        opcodes 2, 1, 0, 1
        opcodes 2, 1, 1, 1

        .globl host_vex_blend
host_vex_blend:
        .irp l, 0, 1
        .irp opcode, 0x4a, 0x4b, 0x4c
        .byte 0xc4, 0xe3, 0x79 + \l * 4, \opcode, 0xca, 0x30, 0xc3
        .balign 8, 0xcc
        .endr
        .endr

/* 256 stubs: VEX prefix, opcode, modrm CA, immediate. */
        .macro immediates map, pp, w, l, opcode
        .set value, 0
        .rept 256
        .byte 0xc4, 0xe0 + \map, \w * 0x80 + 0x78 + \l * 4 + \pp, \opcode, 0xca, value, 0xc3
        .balign 8, 0xcc
        .set value, value + 1
        .endr
        .endm

#define IMM(name, map, prefix, w, l, opcode) \
        .globl host_imm_##name; host_imm_##name: immediates map, prefix, w, l, opcode;
#include "vmm/cpu/host_vex_imm.def"

        .section .note.GNU-stack, "", @progbits
