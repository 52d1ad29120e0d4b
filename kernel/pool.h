/* SPDX-License-Identifier: MIT */
/*
 * The kernel's memory: a pool of 4 KiB frames, fixed at boot, given out against the quota of a PD, zeroed. Tree lock, or boot.
 * Addresses are kernel addresses; the pool is one contiguous piece of physical memory with a direct map.
 */
#ifndef KERNEL_POOL_H
#define KERNEL_POOL_H

#include "lib/align.h"

#define FRAME_SIZE  4096u
#define FRAME_SHIFT 12

struct pd;

/* `memory`: kernel address of the pool, page aligned; `phys`: where it is. A part of it is taken for the bitmap. */
void pool_init(void *memory, uint64_t phys, uint64_t frames);

/* `count` frames in a row, charged to the PD. NULL: quota or pool used up. */
void *frame_alloc(struct pd *payer, unsigned count);
void frame_free(struct pd *payer, void *memory, unsigned count);

uint64_t pool_free(void);   // frames
uint64_t pool_size(void);
uint64_t pool_phys(const void *address);
void *pool_virt(uint64_t phys);

/* Assertion build: the k-th allocation from now (frame or slab object) fails; 0: none does. */
void pool_fail_at(uint64_t k);
bool pool_fail_now(void);

#endif
