/* SPDX-License-Identifier: MIT */
/* Inside the recompiler: the dispatcher, as the engine's functions (vmm/engine.h). */
#ifndef VMM_ENGINES_RECOMPILER_RUN_H
#define VMM_ENGINES_RECOMPILER_RUN_H

#include "vmm/engines/recompiler/cpu.h"

bool run_vcpu(struct engine *engine, unsigned vcpu);
void run_kick(struct engine *engine, unsigned vcpu);
void run_fetch(struct engine *engine, unsigned vcpu, uint32_t groups);
/* Guest RAM is about to be written to, by the interpreter on behalf of a vCPU. */
void run_written(struct engine *engine, unsigned vcpu, uint64_t gpa, uint64_t size);

/* For helpers that translated code calls. RFLAGS as the guest would see it. */
uint64_t run_rflags(const struct rec_cpu *cpu);
/*
 * The guest goes on at state.rip with these flags, perhaps at another level: registers, segments and
 * control registers of the state are what they are to be. Returns what the helper has to.
 */
uint64_t run_elsewhere(struct rec_cpu *cpu, uint64_t rflags);

void run_device_wrote(void *engine, uint64_t gpa, uint64_t size);

#endif
