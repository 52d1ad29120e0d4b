/* SPDX-License-Identifier: MIT */
/*
 * Inside the recompiler: what the guest's accesses and its flushes do to a vCPU's views. By its own
 * thread, or with all vCPUs stopped.
 */
#ifndef VMM_ENGINES_RECOMPILER_MEMORY_H
#define VMM_ENGINES_RECOMPILER_MEMORY_H

#include "vmm/engines/recompiler/cpu.h"

/* The view for cpu->mode and the control registers as of cpu->cr3 and cr4. */
void memory_choose_view(struct rec_cpu *cpu);
void memory_flush_all(struct rec_cpu *cpu);
/* INVLPG, and a page fault: in all views of the current address space. */
void memory_flush_page(struct rec_cpu *cpu, uint64_t linear);
/* CR3 has been loaded with `value` (bit 63: no flush, with PCIDs); cpu->cr4 is current. */
void memory_loaded_cr3(struct rec_cpu *cpu, uint64_t value);
/* A page of RAM may no longer be written to without notice. */
void memory_unwrite(struct rec_cpu *cpu, const uint8_t *host);
/* All translations are gone. */
void memory_forget_jumps(struct rec_cpu *cpu);

#endif
