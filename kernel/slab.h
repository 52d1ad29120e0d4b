/* SPDX-License-Identifier: MIT */
/*
 * Small kernel memory: each PD has its own slabs by size class; a slab is a frame charged to the
 * PD. Memory is zeroed and 64-byte aligned. Tree lock, or boot.
 */
#ifndef KERNEL_SLAB_H
#define KERNEL_SLAB_H

#include "kernel/pool.h"
#include "lib/list.h"

#define SLAB_CLASSES 10u
#define SLAB_MAX     1984u // bytes; larger pieces up to a frame take a frame

struct slab_cache {
    struct list_node partial[SLAB_CLASSES];
};

void slab_init(struct slab_cache *cache);

/* size 1 to FRAME_SIZE. NULL: quota or pool used up. */
void *slab_alloc(struct pd *payer, unsigned size);
/* The same for up to SLAB_MAX bytes, with what was there left in them. */
void *slab_take(struct pd *payer, unsigned size);
void slab_free(void *memory, unsigned size);

#endif
