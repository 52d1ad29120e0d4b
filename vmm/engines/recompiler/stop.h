/* SPDX-License-Identifier: MIT */
/* Inside the recompiler: when all vCPUs have to be out of translated code (rec_stop_all()). */
#ifndef VMM_ENGINES_RECOMPILER_STOP_H
#define VMM_ENGINES_RECOMPILER_STOP_H

#include "vmm/engines/recompiler/cpu.h"

/* Waits until nobody wants translated code for himself, and is in it. */
void stop_go_inside(struct rec_cpu *cpu);
/*
 * Whoever writes to the page at guest-physical address `gpa`, on the host at `host`, is noticed from
 * now on. `flag`: PAGE_CODE, PAGE_WAITED.
 */
void stop_watch(struct rec_cpu *cpu, uint64_t gpa, const uint8_t *host, uint8_t flag);
struct page;
bool stop_is_watched(const struct page *page, uint8_t flag);
/* After an instruction of the interpreter's that wrote to such a page. */
void stop_written_after(struct rec_cpu *cpu);

#endif
