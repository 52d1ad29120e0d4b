/* SPDX-License-Identifier: MIT */
/*
 * Vector, MMX and x87 instructions as the host's processor executes them: the interpreter's values
 * of these groups come from here.
 *
 * For each instruction there is a stub of the instruction itself on fixed registers and a return:
 * modrm.reg is XMM1, MM1 or ECX, modrm.rm is XMM2, MM2 or EDX, XMM0 is the implicit operand. x87
 * memory forms work on [RDI]. The stubs are assembled for whole opcode maps, so not each of them is
 * an instruction of every processor: a caller runs only what the opcode table has a handler for and
 * host_feature.h says is there. Nothing here allocates, faults or touches
 * guest memory; the host's x87 control word and MXCSR, but for its sticky flags, are put back.
 */
#ifndef VMM_CPU_HOST_VECTOR_H
#define VMM_CPU_HOST_VECTOR_H

#include <stddef.h>
#include <stdint.h>

struct host_vector {
    uint8_t  xmm[3][16];
    uint64_t mm[3];      // mm[0] is not used
    uint64_t rax, rcx, rdx;
    uint64_t rflags;     // out
    uint32_t mxcsr;      // in and out where it is used; all exceptions masked
    uint32_t pad;
};
_Static_assert(offsetof(struct host_vector, mm) == 48 && offsetof(struct host_vector, rax) == 72 &&
               offsetof(struct host_vector, rflags) == 96 &&
               offsetof(struct host_vector, mxcsr) == 104, "known to the assembly");

/* Runs a stub that does not use MXCSR; XMM0, XMM1, RAX, RCX, RDX and flags come back. */
void host_vector_run(struct host_vector *v, const uint8_t *stub);
/* The same with MXCSR, which comes back. */
void host_float_run(struct host_vector *v, const uint8_t *stub);
/* The same two with MM1 and MM2; MM1 comes back. */
void host_mmx_run(struct host_vector *v, const uint8_t *stub);
void host_mmx_float_run(struct host_vector *v, const uint8_t *stub);

/*
 * Runs an x87 stub on the FXSAVE image (512 bytes, 16-byte aligned, MXCSR valid, no unmasked
 * exception pending), with the flags in *rflags; both come back. operand: what [RDI] is.
 */
void host_x87_run(uint8_t *image, const uint8_t *stub, uint8_t *operand, uint64_t *rflags);

#define HOST_STUB 8u // bytes from one stub to the next

/* By prefix (none, 66, F3, F2, F3 and REX.W, F2 and REX.W) and opcode. */
extern const uint8_t host_map_0f[6][256][HOST_STUB];
/* By prefix (none, 66) and opcode. */
extern const uint8_t host_map_38[2][256][HOST_STUB];
/* By the low three bits of the opcode, and modrm 5:0 of the register form or modrm.reg of [RDI]. */
extern const uint8_t host_x87_register[8][64][HOST_STUB];
extern const uint8_t host_x87_memory[8][8][HOST_STUB];

#define IMM(name, map, prefix, w, opcode) extern const uint8_t host_imm_##name[256][HOST_STUB];
#include "vmm/cpu/host_imm.def"
#undef IMM

#endif
