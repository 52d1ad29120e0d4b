/* SPDX-License-Identifier: MIT */
/* Inside the recompiler: when all vCPUs have to be out of translated code (rec_stop_all()). */
#ifndef VMM_ENGINES_RECOMPILER_STOP_H
#define VMM_ENGINES_RECOMPILER_STOP_H

#include "vmm/engines/recompiler/cpu.h"

/* Waits until nobody wants translated code for himself, and is in it. */
void stop_go_inside(struct rec_cpu *cpu);
/* After an instruction of the interpreter's that wrote to code. */
void stop_written_after(struct rec_cpu *cpu);

#endif
