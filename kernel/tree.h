/* SPDX-License-Identifier: MIT */
/*
 * The tree lock, and the grace period.
 *
 * The lock guards everything that changes the derivation tree, creates or destroys objects or moves
 * quota. Fast paths do not take it; they may follow pointers that they find in capability slots,
 * because what is taken out of the slots is freed only after every CPU has been through a
 * rendezvous: it has then left the kernel code it was in. A CPU that waits for the lock serves
 * rendezvous requests meanwhile, so look capabilities up after taking it, not before.
 */
#ifndef KERNEL_TREE_H
#define KERNEL_TREE_H

#include "kernel/pool.h"
#include "lib/list.h"

struct sc;

/*
 * Does not return if the current EC or its SC was destroyed meanwhile. Not for use before the first
 * EC runs.
 */
void tree_lock(void);
void tree_unlock(void);

/* What was taken out and is to be freed: made under the lock, finished before it is released. */
struct batch {
    struct list_node dying;   // objects, by object.link
    struct frame_list tables;
    struct sc *start;         // a new SC, to be started on its CPU
    bool removed;             // something was taken out of a space: other CPUs may be looking at it
    bool flush_host;          // translations were removed from a host space
    bool flush_guest;
    int budget;               // what the batch may still take on, in entries
};

#define BATCH_BUDGET 256

void batch_init(struct batch *batch);
/* The rendezvous of all CPUs, if anything was taken out, and then the freeing. */
void batch_finish(struct batch *batch);

#endif
