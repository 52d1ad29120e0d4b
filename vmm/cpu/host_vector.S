/* SPDX-License-Identifier: MIT */
/* Stubs of the host's vector, MMX and x87 instructions, and what calls them (host_vector.h). */

        .text

/*
 * rdi: struct host_vector, rsi: stub. Offsets as in the header. LDMXCSR is slow: it is done only
 * where the two differ, and the host's sticky flags, which say nothing to it, are left as they get.
 */
        .macro vector_run name, mmx, float
        .globl \name
\name:
        .if \float
        sub $8, %rsp
        stmxcsr (%rsp)
        mov (%rsp), %eax
        cmp 104(%rdi), %eax
        je 1f
        ldmxcsr 104(%rdi)
1:
        .endif
        movups 0(%rdi), %xmm0
        movups 16(%rdi), %xmm1
        movups 32(%rdi), %xmm2
        .if \mmx
        movq 56(%rdi), %mm1
        movq 64(%rdi), %mm2
        .endif
        mov 72(%rdi), %rax
        mov 80(%rdi), %rcx
        mov 88(%rdi), %rdx
        call *%rsi
        pushfq
        popq 96(%rdi)
        mov %rax, 72(%rdi)
        mov %rcx, 80(%rdi)
        mov %rdx, 88(%rdi)
        movups %xmm0, 0(%rdi)
        movups %xmm1, 16(%rdi)
        .if \mmx
        movq %mm1, 56(%rdi)
        emms
        .endif
        .if \float
        stmxcsr 104(%rdi)
        mov 104(%rdi), %eax
        xor (%rsp), %eax
        test $0xffc0, %eax
        jz 1f
        ldmxcsr (%rsp)
1:
        add $8, %rsp
        .endif
        ret
        .endm

        vector_run host_vector_run, 0, 0
        vector_run host_float_run, 0, 1
        vector_run host_mmx_run, 1, 0
        vector_run host_mmx_float_run, 1, 1

/* rdi: image, rsi: stub, rdx: operand, rcx: flags. FXSAVE and FNINIT do not wait for exceptions. */
        .globl host_x87_run
host_x87_run:
        sub $8, %rsp
        stmxcsr (%rsp)
        fnstcw 4(%rsp)
        mov %rdi, %r8
        mov %rdx, %rdi
        fxrstorq (%r8)
        pushq (%rcx)
        popfq
        call *%rsi
        pushfq
        popq (%rcx)
        fxsaveq (%r8)
        fninit
        fldcw 4(%rsp)
        ldmxcsr (%rsp)
        add $8, %rsp
        ret

/* 256 stubs: bytes, opcode, modrm CA (reg 1, rm 2). */
        .macro opcodes bytes:vararg
        .set value, 0
        .rept 256
        .byte \bytes, value, 0xca, 0xc3
        .balign 8, 0xcc
        .set value, value + 1
        .endr
        .endm

        .balign 64
        .globl host_map_0f
host_map_0f: // DS's prefix means nothing in a register form
        opcodes 0x3e, 0x0f
        opcodes 0x66, 0x0f
        opcodes 0xf3, 0x0f
        opcodes 0xf2, 0x0f
        opcodes 0xf3, 0x48, 0x0f
        opcodes 0xf2, 0x48, 0x0f

        .globl host_map_38
host_map_38:
        opcodes 0x3e, 0x0f, 0x38
        opcodes 0x66, 0x0f, 0x38

        .globl host_x87_register
host_x87_register:
        .set opcode, 0xd8
        .rept 8
        .set value, 0xc0
        .rept 64
        .byte opcode, value, 0xc3
        .balign 8, 0xcc
        .set value, value + 1
        .endr
        .set opcode, opcode + 1
        .endr

        .globl host_x87_memory
host_x87_memory: // modrm 07: [rdi]
        .set opcode, 0xd8
        .rept 8
        .set value, 0x07
        .rept 8
        .byte opcode, value, 0xc3
        .balign 8, 0xcc
        .set value, value + 8
        .endr
        .set opcode, opcode + 1
        .endr

/* 256 stubs: bytes, modrm CA, immediate. */
        .macro immediates bytes:vararg
        .set value, 0
        .rept 256
        .byte \bytes, 0xca, value, 0xc3
        .balign 8, 0xcc
        .set value, value + 1
        .endr
        .endm

        .macro immediate_100 opcode
        immediates 0x3e, 0x0f, \opcode
        .endm
        .macro immediate_110 opcode
        immediates 0x66, 0x0f, \opcode
        .endm
        .macro immediate_120 opcode
        immediates 0xf3, 0x0f, \opcode
        .endm
        .macro immediate_130 opcode
        immediates 0xf2, 0x0f, \opcode
        .endm
        .macro immediate_300 opcode
        immediates 0x3e, 0x0f, 0x3a, \opcode
        .endm
        .macro immediate_310 opcode
        immediates 0x66, 0x0f, 0x3a, \opcode
        .endm
        .macro immediate_311 opcode
        immediates 0x66, 0x48, 0x0f, 0x3a, \opcode
        .endm

#define IMM(name, map, prefix, w, opcode) \
        .globl host_imm_##name; host_imm_##name: immediate_##map##prefix##w opcode;
#include "vmm/cpu/host_imm.def"

        .section .note.GNU-stack, "", @progbits
