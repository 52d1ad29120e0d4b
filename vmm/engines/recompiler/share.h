/* SPDX-License-Identifier: MIT */
/*
 * Inside the recompiler: checks of memory accesses that instructions of a block share.
 *
 * Accesses by one base register that does not change between them (the stack pointer may, by known
 * amounts) form a group; the first of them checks all that the group may touch. If that lies in two
 * pages, the block is left for one without groups (REC_MODE_PLAIN) that begins there.
 */
#ifndef VMM_ENGINES_RECOMPILER_SHARE_H
#define VMM_ENGINES_RECOMPILER_SHARE_H

#include "vmm/engines/recompiler/translate.h"

/* Fills t->unit[].group and t->group[]. */
void share_find(struct translation *t);

/* General registers that the instruction may write to, as a set. */
uint32_t share_written(const struct unit *u);

#endif
