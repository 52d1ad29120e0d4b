/* SPDX-License-Identifier: MIT */
/*
 * Semaphores, between CPUs too. An interrupt is a semaphore with a source: it fires as an up.
 *
 * A semaphore has a lock of its own, which is held shortly and never while waiting for anything.
 * Whoever takes an EC off the queue also wakes it under that lock, so that an EC is always either
 * queued or in the inbox of its CPU.
 */
#ifndef KERNEL_SM_H
#define KERNEL_SM_H

#include "kernel/ec.h"
#include "kernel/spinlock.h"

struct sm {
    struct object object;
    struct spinlock lock;
    bool dead;
    uint64_t count;
    struct rb_tree waiters; // ECs by sm_node: highest priority first, then first come
    uint32_t source;        // number of the interrupt + 1, 0 none
};

static inline struct sm *sm_of(struct object *object)
{
    return (struct sm *)object;
}

/* Tree lock. NULL: the PD cannot pay. */
struct sm *sm_create(struct pd *pd, uint64_t count);

enum abi_status sm_up(struct sm *sm) MUST_CHECK;
/*
 * Returns if there is nothing to wait for; else the EC waits, and what is returned to it then comes
 * from who wakes it.
 */
enum abi_status sm_down(struct ec *ec, struct sm *sm, unsigned flags, uint64_t deadline,
                        uint64_t *taken) MUST_CHECK;
/* Takes an EC of this CPU off the semaphore it waits on; false if somebody else already has. */
bool sm_leave(struct ec *ec);
/* All waiters are aborted, and whoever comes later. */
void sm_abort(struct sm *sm);

/* The semaphore that interrupt_fired() ups. Boot. */
void sm_bind_interrupt(struct sm *sm, unsigned source);

#endif
