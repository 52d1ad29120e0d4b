/* SPDX-License-Identifier: MIT */
/*
 * Inside the recompiler: MONITOR and MWAIT (SDM volume 3, 9.10.4; volume 2). What has been armed is
 * looked at from translated code for as long as that has been worth it; then the vCPU sleeps, and
 * the page is one whose writes are noticed, as those to code are.
 *
 * A write of what is there already does not end the first kind of waiting. Nothing is armed in
 * devices' memory: MWAIT goes on at once.
 */
#ifndef VMM_ENGINES_RECOMPILER_MONITOR_H
#define VMM_ENGINES_RECOMPILER_MONITOR_H

#include "vmm/engines/recompiler/cpu.h"

/* MONITOR has been executed for this linear address. */
void monitor_arm(struct rec_cpu *cpu, uint64_t linear);
/*
 * MWAIT. True: the vCPU is to wait for an interrupt or VCPU_STORE; false: it goes on behind the
 * instruction. Not from within translated code.
 */
bool monitor_waits(struct rec_cpu *cpu);
/* A page that a vCPU may wait for has been, or is about to be, written to. By `self`, or a device. */
struct page;
void monitor_wrote(struct engine *engine, struct rec_cpu *self, struct page *page, uint64_t gpa);

/* MWAIT from within translated code; argument: where the next instruction is in the page. */
rec_helper rec_mwait;

#endif
