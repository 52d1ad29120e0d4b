/* SPDX-License-Identifier: MIT */
/*
 * The switch from one EC to another of the same CPU: vector state, address space, ports, FS base.
 * Inlined into the IPC path.
 */
#ifndef KERNEL_SWITCH_H
#define KERNEL_SWITCH_H

#include "kernel/cpu.h"
#include "kernel/msr.h"
#include "kernel/paging.h"
#include "kernel/pd.h"
#include "kernel/xstate.h"

static ALWAYS_INLINE void switch_pd(struct cpu *cpu, const struct pd *to)
{
    paging_load(to->cr3);
    cpu_switch_pio(cpu, to->port_frame);
}

/* `from` is the current EC. */
static ALWAYS_INLINE void switch_ec(struct cpu *cpu, struct ec *from, struct ec *to)
{
    xstate_save(from->xstate);
    xstate_restore(to->xstate);
    cpu_set_current(to);
    if (from->pd != to->pd)
        switch_pd(cpu, to->pd);
    /* Always: what the MSR holds now nobody knows, since loading the selector changes it too. */
    msr_write(MSR_FS_BASE, to->fs_base);
}

#endif
