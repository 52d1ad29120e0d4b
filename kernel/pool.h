/* SPDX-License-Identifier: MIT */
/*
 * The kernel's memory: a pool of 4 KiB frames, fixed at boot, given out against the quota of a PD,
 * zeroed. Tree lock, or boot. Addresses are kernel addresses; the pool is one contiguous piece of
 * physical memory with a direct map.
 */
#ifndef KERNEL_POOL_H
#define KERNEL_POOL_H

#include "lib/align.h"

#define FRAME_SIZE 4096u

struct pd;

/* What the kernel knows of a frame beside its content. */
struct frame_info {
    struct pd *payer;    // NULL: free
    uint32_t next, prev; // lists of frames, by number; frame 0 is never on one
    uint16_t used;       // page or capability table: entries in use
    bool clean;          // free, and all zero already
};

/*
 * Frames of tables that wait for a grace period or are reserved: they are all zero. A zeroed list
 * is empty.
 */
struct frame_list {
    uint32_t first;
};

/*
 * `memory`: kernel address of the pool, page aligned; `phys`: where it is. A part of it is taken
 * for bookkeeping.
 */
void pool_init(void *memory, uint64_t phys, uint64_t frames);

/*
 * `count` frames in a row, charged to the PD; frame_take() leaves in them what was there. NULL:
 * quota or pool used up.
 */
void *frame_alloc(struct pd *payer, unsigned count);
void *frame_take(struct pd *payer, unsigned count);
void frame_free(void *memory, unsigned count);

struct frame_info *frame_info(const void *frame);
void frame_list_push(struct frame_list *list, void *memory);
void *frame_list_pop(struct frame_list *list);
void frame_list_free(struct frame_list *list);

uint64_t pool_free(void); // frames
uint64_t pool_size(void);
uint64_t pool_phys(const void *address);
void *pool_virt(uint64_t phys);

/* Assertion build: the k-th allocation from now (frames or slab object) fails; 0: none does. */
void pool_fail_at(uint64_t k);
/* Counts an allocation; true if this is the one to fail. */
bool pool_fails(void);

#endif
