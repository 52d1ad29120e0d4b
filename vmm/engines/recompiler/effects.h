/* SPDX-License-Identifier: MIT */
/*
 * Inside the recompiler: what an instruction does with flags and memory, and whether it can be
 * copied (SDM volume 2, each instruction; volume 1, appendix A for the flags).
 */
#ifndef VMM_ENGINES_RECOMPILER_EFFECTS_H
#define VMM_ENGINES_RECOMPILER_EFFECTS_H

#include "vmm/cpu/decode.h"

/* Status flags as sets. */
#define FLAG_C   0x01u
#define FLAG_P   0x04u
#define FLAG_A   0x10u
#define FLAG_Z   0x40u
#define FLAG_S   0x80u
#define FLAG_O   0x100u // RFLAGS bit 11, here to fit
#define FLAG_ALL 0x1d5u

enum copy_kind {
    COPY_NO,        // not copied: branches, stack, privileged ...: translate.c knows, or interprets
    COPY_PLAIN,     // general registers and perhaps memory
    COPY_VECTOR,    // SSE; needs REC_MODE_SSE
    COPY_VEX,       // needs REC_MODE_AVX
    COPY_X87,       // x87 or MMX; needs REC_MODE_X87
};

struct effects {
    uint16_t read;     // flags read
    uint16_t written;  // flags certain to be written (or left undefined)
    uint16_t touched;  // flags that may be written
    uint8_t  kind;     // enum copy_kind
    bool     writes;   // its operand in modrm.rm
    bool     aligned;  // its memory operand must be, by its size
    bool     traps;    // the processor may refuse it
    uint8_t  size;     // of its memory operand in bytes, 0: has none, or unknown (then not copied)
};

struct effects effects_of(const struct insn *insn);

/* Flags that condition `cc` reads. */
unsigned effects_condition(unsigned cc);

#endif
