/* SPDX-License-Identifier: MIT */
/*
 * A ring with one producer and one consumer in memory that two protection domains share. The
 * other side is hostile: it may write anything into the shared memory at any time. So each side
 * keeps its own position and the ring's shape privately, reads the other's position once a call
 * and checks it, and copies entries in and out: what an entry holds is to be validated in the
 * copy. The worst the other side can do is to make the ring report RING_BROKEN or carry wrong
 * entries; no access leaves the shared memory.
 *
 * Layout of the shared memory: struct ring_shared, then `capacity` entries of `entry_size` bytes.
 * The positions count entries modulo 2^32 from 0 and never wrap to the capacity, which is a power
 * of two up to 2^30. Whoever creates the memory leaves it zeroed.
 *
 * Publishing is a store with release, looking is a load with acquire: the processor makes the
 * entry visible before the position. Waking the other side is the caller's affair. A struct ring
 * is used by one thread at a time.
 */
#ifndef LIB_RING_H
#define LIB_RING_H

#include <stddef.h>
#include <stdint.h>

struct ring_shared {
    uint32_t produced; // written by the producer only
    uint32_t pad0[15]; // the two positions lie in cache lines of their own
    uint32_t consumed; // written by the consumer only
    uint32_t pad1[15];
};
_Static_assert(sizeof(struct ring_shared) == 128 && offsetof(struct ring_shared, consumed) == 64,
               "layout");

enum ring_status {
    RING_OK,
    RING_FULL,   // nothing was put
    RING_EMPTY,  // nothing was taken
    RING_BROKEN  // the other side's position is impossible: end the connection
};

/* One side's private view. */
struct ring {
    struct ring_shared *shared;
    uint8_t *entries;
    uint32_t capacity;
    uint32_t entry_size;
    uint32_t position; // this side's own
};

/* Bytes of shared memory for a ring; capacity and entry_size as above, entry_size up to 64 KiB. */
static inline size_t ring_memory_size(uint32_t capacity, uint32_t entry_size)
{
    return sizeof(struct ring_shared) + (size_t)capacity * entry_size;
}

/*
 * Set up one side on fresh shared memory of ring_memory_size() bytes, aligned to 64. RING_BROKEN
 * if the shape is not allowed.
 */
__attribute__((warn_unused_result))
enum ring_status ring_init(struct ring *ring, void *memory, uint32_t capacity, uint32_t entry_size);

/* Producer: copy one entry in. RING_OK, RING_FULL, RING_BROKEN. */
__attribute__((warn_unused_result))
enum ring_status ring_put(struct ring *ring, const void *entry);

/* Consumer: copy one entry out. RING_OK, RING_EMPTY, RING_BROKEN. */
__attribute__((warn_unused_result))
enum ring_status ring_take(struct ring *ring, void *entry);

/*
 * Producer: how many entries can be put now; consumer: how many can be taken. 0 also if the ring
 * is broken.
 */
uint32_t ring_free(const struct ring *ring);
uint32_t ring_used(const struct ring *ring);

#endif
