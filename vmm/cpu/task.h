/* SPDX-License-Identifier: MIT */
/*
 * Inside the interpreter: hardware task switches (SDM volume 3, chapter 8; APM volume 2, 12.3). Not in long mode.
 *
 * Faults up to the commit point are the old task's, and nothing has changed. Later ones are the new task's: its state
 * is loaded, RIP and RSP included, and interp->switched says so.
 */
#ifndef VMM_CPU_TASK_H
#define VMM_CPU_TASK_H

#include "vmm/cpu/segment.h"

enum task_source {
    TASK_JMP,
    TASK_CALL, // or INT n, an interrupt, an exception: the new task is nested
    TASK_IRET,
};

/* JMP or CALL to a TSS; d is its descriptor, the caller has checked nothing of it. */
enum interp_status task_transfer(struct interp *c, uint16_t selector, const struct descriptor *d,
                                 bool call) INTERP_MUST_CHECK;
/* Through a task gate whose own rights the caller has checked: `selector` is the gate's. */
enum interp_status task_gate(struct interp *c, uint16_t selector,
                             enum task_source source) INTERP_MUST_CHECK;
/* IRET with NT set: back to the task that the TSS links to. */
enum interp_status task_return(struct interp *c) INTERP_MUST_CHECK;
/* On the new task's stack, in the width of its TSS. A fault is the new task's. */
enum interp_status task_push_code(struct interp *c, uint32_t code) INTERP_MUST_CHECK;

#endif
