/* SPDX-License-Identifier: MIT */
/* Inside the recompiler: the block for an address. */
#ifndef VMM_ENGINES_RECOMPILER_FIND_H
#define VMM_ENGINES_RECOMPILER_FIND_H

#include "vmm/engines/recompiler/blocks.h"

/* Is the next block to be without shared checks, whatever comes then? */
bool find_is_once(const struct rec_cpu *cpu);
/*
 * The block at RIP, made if need be. NULL: the interpreter has to fetch there. `flushes`: of the
 * code cache, when it was found; `global`: its pages are. Out of translated code.
 */
struct block *find_block(struct rec_cpu *cpu, uint64_t *flushes, bool *global);
/* What the view's jump tables know of RIP. NULL: to be looked for. In translated code's place. */
struct block *find_quickly(struct rec_cpu *cpu);
/* The jump at cpu->site goes to `block` from now on, if both are in one page. */
void find_chain(struct rec_cpu *cpu, const struct block *block);
/* Jumps to RIP lead to the block from now on. What was in its place gets another. */
void find_enter_jump(struct rec_cpu *cpu, const struct block *block, bool global);

#endif
