/* SPDX-License-Identifier: MIT */
/*
 * AVX, AVX2, FMA and F16C instructions as the host's processor executes them: host_vector.h for VEX
 * encodings.
 *
 * A stub is the instruction on fixed registers and a return: modrm.reg is YMM1 or ECX, VEX.vvvv
 * YMM0 (which is also how no register is written there), modrm.rm YMM2 or EDX, and the register in
 * an immediate YMM3. A caller runs only what the opcode table has a handler for and host_feature.h
 * says is there.
 */
#ifndef VMM_CPU_HOST_VEX_H
#define VMM_CPU_HOST_VEX_H

#include "vmm/cpu/host_vector.h"

struct host_vex {
    uint8_t  ymm[4][32];
    uint64_t rax, rcx, rdx;
    uint64_t rflags;     // out
    uint32_t mxcsr;      // in and out; all exceptions masked
    uint32_t pad;
};
_Static_assert(offsetof(struct host_vex, rax) == 128 && offsetof(struct host_vex, rflags) == 152 &&
               offsetof(struct host_vex, mxcsr) == 160, "known to the assembly");

/*
 * Runs a stub: YMM0 to YMM2, RCX, RDX, flags and MXCSR come back. The host's MXCSR is put back, and
 * its upper halves are clear.
 */
void host_vex_run(struct host_vex *v, const uint8_t *stub);

/* By prefix (none, 66, F3, F2; W 0: L 0, L 1; then F3 and F2 with W 1 and L 0) and opcode. */
extern const uint8_t host_vex_0f[10][256][HOST_STUB];
/* With prefix 66, by W, L and opcode. */
extern const uint8_t host_vex_38[2][2][256][HOST_STUB];
/* Those of 0F3A whose third source is in the immediate, VBLENDVPS (4A) and on: by L and opcode. */
extern const uint8_t host_vex_blend[2][3][HOST_STUB];

#define IMM(name, map, prefix, w, l, opcode) \
    extern const uint8_t host_imm_##name[256][HOST_STUB];
#include "vmm/cpu/host_vex_imm.def"
#undef IMM

#endif
