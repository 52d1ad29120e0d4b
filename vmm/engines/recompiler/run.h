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

void run_device_wrote(void *engine, uint64_t gpa, uint64_t size);

#endif
