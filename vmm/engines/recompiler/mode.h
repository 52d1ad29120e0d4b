/* SPDX-License-Identifier: MIT */
/* Inside the recompiler: what a vCPU is in, as far as translations depend on it. */
#ifndef VMM_ENGINES_RECOMPILER_MODE_H
#define VMM_ENGINES_RECOMPILER_MODE_H

#include "vmm/engines/recompiler/cpu.h"

/* REC_MODE_* of a state. */
uint32_t mode_of(const struct cpu_state *state);
/* Takes note of what has changed: flushes views, chooses one. */
void mode_look(struct rec_cpu *cpu);

#endif
