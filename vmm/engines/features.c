/* SPDX-License-Identifier: MIT */
/* What the engines in software have of a processor's features. */
#include "vmm/engines/features.h"

#include "vmm/cpu/host_feature.h"

#define BIT(n) (1u << (n))

/*
 * What the interpreter executes, of what a processor may have: SSE up to 4.2, AVX, AVX2, FMA, F16C,
 * AES, PCLMULQDQ, SHA, GFNI; no AVX-512, RDRAND, RDSEED, RDPID, CLZERO.
 */
const struct cpuid_override software_features[] = {
    /* SSE3 PCLMULQDQ MONITOR SSSE3 FMA CMPXCHG16B PCID SSE4.1 SSE4.2 X2APIC MOVBE POPCNT TSC-deadline AES
       XSAVE AVX F16C hypervisor */
    {0x00000001, 0, 2,
     BIT(0) | BIT(1) | BIT(3) | BIT(9) | BIT(12) | BIT(13) | BIT(17) | BIT(19) | BIT(20) | BIT(21) |
         BIT(22) | BIT(23) | BIT(24) | BIT(25) | BIT(26) | BIT(28) | BIT(29) | BIT(31), 0},
    /* FSGSBASE TSC_ADJUST BMI1 AVX2 SMEP BMI2 ERMS INVPCID ADX SMAP SHA; CLFLUSHOPT and CLWB,
       which do nothing on any processor */
    {0x00000007, 0, 1,
     BIT(0) | BIT(1) | BIT(3) | BIT(5) | BIT(7) | BIT(8) | BIT(9) | BIT(10) | BIT(19) | BIT(20) |
         BIT(29), BIT(23) | BIT(24)},
    {0x00000007, 0, 2, BIT(2) | BIT(8) | BIT(9) | BIT(10), 0}, // UMIP GFNI VAES VPCLMULQDQ
    {0x00000007, 0, 3, BIT(4), BIT(29)}, // FSRM, and ARCH_CAPABILITIES is there
    /* LAHF CmpLegacy ALTMOVCR8 LZCNT PREFETCHW TOPOEXT */
    {0x80000001, 0, 2, BIT(0) | BIT(1) | BIT(4) | BIT(5) | BIT(8) | BIT(22), 0},
    {0x80000001, 0, 3, ~(BIT(22) | BIT(25) | BIT(30) | BIT(31)), 0}, // no 3DNow!, no FFXSR
    {0x80000008, 0, 1, 0, 0},
    {0x0000000d, 1, 0, BIT(0) | BIT(2), 0}, // XSAVEOPT, XGETBV with ECX 1; no compacted format
};

const size_t software_feature_count = sizeof software_features / sizeof software_features[0];
_Static_assert(sizeof software_features / sizeof software_features[0] == SOFTWARE_FEATURES,
               "as many as the header says");

void software_cpuid(void *arg, uint32_t leaf, uint32_t subleaf, struct cpuid_regs *out)
{
    cpuid_read_native(arg, leaf, subleaf, out);
    if (leaf == 0xd && subleaf == 0 && !(host_features() & HOST_AVX))
        out->eax &= 3;
}
