/* SPDX-License-Identifier: MIT */
/*
 * Inside the interpreter: stacks of inner levels and call gates (SDM volume 3, 5.8.3 to 5.8.5).
 *
 * Both may have changed SS, gpr[4], CPL and mode when they fail: the caller keeps struct gate_saved
 * and puts it back.
 */
#ifndef VMM_CPU_GATE_H
#define VMM_CPU_GATE_H

#include "vmm/cpu/segment.h"

/* What changes when an inner level is entered, put back if a push faults. */
struct gate_saved {
    struct cpu_segment ss;
    uint64_t rsp;
    uint8_t mode, cpl;
};

struct gate_saved gate_save(const struct interp *c);
void gate_restore(struct interp *c, const struct gate_saved *saved);

/* The TSS's stack for level `cpl`, or for ist 1 to 7, into the state. In long mode SS is null. */
enum interp_status gate_enter_stack(struct interp *c, unsigned cpl,
                                    unsigned ist) INTERP_MUST_CHECK;

/* JMP or CALL to a system descriptor; the offset of the instruction does not count. */
enum interp_status gate_transfer(struct interp *c, uint16_t selector, const struct descriptor *d,
                                 bool call) INTERP_MUST_CHECK;

#endif
