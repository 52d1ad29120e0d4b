/* SPDX-License-Identifier: MIT */
/* The ring: the fill level is computed from one private and one checked position. */
#include "lib/ring.h"

#include "lib/align.h"
#include "lib/string.h"

enum {
    CAPACITY_MAX = 0x40000000,
    ENTRY_SIZE_MAX = 0x10000
};

enum ring_status ring_init(struct ring *ring, void *memory, uint32_t capacity, uint32_t entry_size)
{
    if (!is_power_of_two(capacity) || capacity > CAPACITY_MAX || entry_size == 0 ||
        entry_size > ENTRY_SIZE_MAX)
        return RING_BROKEN;
    *ring = (struct ring){
        .shared = memory,
        .entries = (uint8_t *)memory + sizeof(struct ring_shared),
        .capacity = capacity,
        .entry_size = entry_size,
    };
    return RING_OK;
}

static uint8_t *entry_at(const struct ring *ring, uint32_t position)
{
    return ring->entries + (size_t)(position & (ring->capacity - 1)) * ring->entry_size;
}

/* Entries in the ring as the producer sees them; more than the capacity if the consumer lies. */
static uint32_t producer_level(const struct ring *ring)
{
    return ring->position - __atomic_load_n(&ring->shared->consumed, __ATOMIC_ACQUIRE);
}

static uint32_t consumer_level(const struct ring *ring)
{
    return __atomic_load_n(&ring->shared->produced, __ATOMIC_ACQUIRE) - ring->position;
}

enum ring_status ring_put(struct ring *ring, const void *entry)
{
    uint32_t level = producer_level(ring);

    if (level > ring->capacity)
        return RING_BROKEN;
    if (level == ring->capacity)
        return RING_FULL;
    memcpy(entry_at(ring, ring->position), entry, ring->entry_size);
    __atomic_store_n(&ring->shared->produced, ++ring->position, __ATOMIC_RELEASE);
    return RING_OK;
}

enum ring_status ring_take(struct ring *ring, void *entry)
{
    uint32_t level = consumer_level(ring);

    if (level > ring->capacity)
        return RING_BROKEN;
    if (level == 0)
        return RING_EMPTY;
    memcpy(entry, entry_at(ring, ring->position), ring->entry_size);
    __atomic_store_n(&ring->shared->consumed, ++ring->position, __ATOMIC_RELEASE);
    return RING_OK;
}

uint32_t ring_free(const struct ring *ring)
{
    uint32_t level = producer_level(ring);

    return level > ring->capacity ? 0 : ring->capacity - level;
}

uint32_t ring_used(const struct ring *ring)
{
    uint32_t level = consumer_level(ring);

    return level > ring->capacity ? 0 : level;
}
