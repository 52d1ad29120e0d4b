/* SPDX-License-Identifier: MIT */
/*
 * Inside the recompiler: each block against the interpreter, over whatever the guest does.
 *
 * Before a block runs, the interpreter executes the same instructions on a copy of the registers;
 * what it writes to RAM is taken back afterwards. When the block has left, registers, flags and
 * memory must be what the interpreter had made of them at that place. Devices are not touched by the
 * trial: it ends before. One vCPU only, and no block jumps to another.
 */
#ifndef VMM_ENGINES_RECOMPILER_LOCKSTEP_H
#define VMM_ENGINES_RECOMPILER_LOCKSTEP_H

#include "vmm/engines/recompiler/blocks.h"

struct lockstep;

struct lockstep *lockstep_create(struct host *host);
void lockstep_begin(struct lockstep *l, struct rec_cpu *cpu);
/* After the block; false: they differ, and the log says how. */
bool lockstep_agrees(struct lockstep *l, struct rec_cpu *cpu, const struct block *block);
uint64_t lockstep_compared(const struct lockstep *l);
/* Differences that show nothing, since the guest had changed a translation without a flush. */
uint64_t lockstep_stale(const struct lockstep *l);
void lockstep_destroy(struct lockstep *l, struct host *host);

#endif
