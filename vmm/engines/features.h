/* SPDX-License-Identifier: MIT */
/* What the engines in software, interpreter and recompiler, offer: the same. */
#ifndef VMM_ENGINES_FEATURES_H
#define VMM_ENGINES_FEATURES_H

#include "vmm/cpu/cpuid.h"

#include <stddef.h>

#define SOFTWARE_XCR0 7u // x87, SSE and, if the processor has it, AVX

/*
 * No guest instruction runs on the processor, so none of its leaks is the guest's: RDCL, L1D at
 * entries, SSB, MDS, page size changes, TAA, SBDR, FBSDP, PSDP, BHI, PBRSB, GDS, RFDS, ITS. Guests
 * then leave out what would cost them, such as page tables apart for user code.
 */
#define SOFTWARE_IMMUNITIES \
    (0x01ull | 0x08 | 0x10 | 0x20 | 0x40 | 0x100 | 0xe000 | 1ull << 20 | 1ull << 24 | 1ull << 26 | \
     1ull << 27 | 1ull << 62)

/* For struct engine_ops; the count is also known where it is used as a constant. */
#define SOFTWARE_FEATURES 8u
extern const struct cpuid_override software_features[SOFTWARE_FEATURES];
extern const size_t software_feature_count;

/* The processor, without AVX where this host's kernel does not switch its registers. */
void software_cpuid(void *arg, uint32_t leaf, uint32_t subleaf, struct cpuid_regs *out);

#endif
