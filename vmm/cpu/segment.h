/* SPDX-License-Identifier: MIT */
/* Inside the interpreter: descriptors of the GDT and LDT (SDM volume 3, 3.4.5). */
#ifndef VMM_CPU_SEGMENT_H
#define VMM_CPU_SEGMENT_H

#include "vmm/cpu/exec.h"

struct descriptor {
    uint64_t raw;
    uint64_t linear; // where it is
};

/* Reads a descriptor; #GP(selector) if it lies outside of its table. The selector is not null. */
enum interp_status segment_descriptor(struct interp *c, uint16_t selector,
                                      struct descriptor *d) INTERP_MUST_CHECK;
/* Sets bits (accessed, busy) of it in memory. */
enum interp_status segment_mark(struct interp *c, struct descriptor *d,
                                uint64_t bits) INTERP_MUST_CHECK;
void segment_unpack(uint16_t selector, uint64_t raw, struct cpu_segment *s);
void segment_load_real(struct interp *c, unsigned segment, uint16_t selector);

#endif
