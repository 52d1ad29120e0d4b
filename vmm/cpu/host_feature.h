/* SPDX-License-Identifier: MIT */
/*
 * Which instructions the host's processor has, of those that the interpreter runs on it. A guest
 * may execute what its CPUID does not tell; what the host lacks is undefined in the guest too.
 */
#ifndef VMM_CPU_HOST_FEATURE_H
#define VMM_CPU_HOST_FEATURE_H

#include "vmm/cpu/decode.h"

#define HOST_SSE3   0x01u
#define HOST_SSSE3  0x02u
#define HOST_SSE4_1 0x04u
#define HOST_SSE4_2 0x08u
#define HOST_AES    0x10u
#define HOST_PCLMUL 0x20u
#define HOST_SHA    0x40u
#define HOST_GFNI   0x80u
#define HOST_RDRAND 0x100u
#define HOST_RDSEED 0x200u
#define HOST_AVX    0x400u // and the upper halves are switched
#define HOST_AVX2   0x800u
#define HOST_FMA    0x1000u
#define HOST_F16C   0x2000u
#define HOST_VAES   0x4000u
#define HOST_VPCLMUL 0x8000u
#define HOST_AVX_VNNI 0x10000u

/* HOST_* of this processor, from CPUID. */
uint32_t host_features(void);
/* Those that a vector or MMX instruction needs; 0: every 64-bit processor has it. */
uint32_t host_feature_needed(const struct insn *insn);

#endif
