/* SPDX-License-Identifier: MIT */
/* Slabs: a frame with a header and equal pieces; free pieces are linked through their first word. */
#include "kernel/slab.h"

#include "kernel/assert.h"
#include "kernel/pd.h"
#include "lib/string.h"

struct slab {
    struct list_node link; // in the cache's partial list while a piece is free, else linked to itself
    void *free;
    uint16_t used;
    uint16_t class;
};

#define SLAB_HEADER 64u
_Static_assert(sizeof(struct slab) <= SLAB_HEADER, "pieces stay aligned");

/* Multiples of 64 that divide what the header leaves without much rest. */
static const uint16_t class_size[SLAB_CLASSES] = {64, 128, 192, 256, 384, 576, 768, 960, 1344, SLAB_MAX};

static unsigned class_of(unsigned size)
{
    unsigned class = 0;

    while (class_size[class] < size)
        class++;
    return class;
}

void slab_init(struct slab_cache *cache)
{
    for (unsigned i = 0; i < SLAB_CLASSES; i++)
        list_init(&cache->partial[i]);
}

static struct slab *slab_new(struct pd *payer, unsigned class)
{
    char *frame = frame_alloc(payer, 1);
    if (!frame)
        return NULL;
    struct slab *slab = (struct slab *)(void *)frame;
    slab->class = (uint16_t)class;
    for (unsigned at = SLAB_HEADER; at + class_size[class] <= FRAME_SIZE; at += class_size[class]) {
        *(void **)(void *)(frame + at) = slab->free;
        slab->free = frame + at;
    }
    list_push_front(&payer->slabs.partial[class], &slab->link);
    return slab;
}

void *slab_alloc(struct pd *payer, unsigned size)
{
    if (size > SLAB_MAX)
        return frame_alloc(payer, 1);
    if (pool_fails())
        return NULL;
    unsigned class = class_of(size);
    struct list_node *first = list_first(&payer->slabs.partial[class]);
    struct slab *slab = first ? list_entry(first, struct slab, link) : slab_new(payer, class);
    if (!slab)
        return NULL;
    void **piece = slab->free;
    slab->free = *piece;
    slab->used++;
    if (!slab->free)
        list_remove(&slab->link);
    return memset(piece, 0, class_size[class]);
}

void slab_free(void *memory, unsigned size)
{
    if (size > SLAB_MAX) {
        frame_free(memory, 1);
        return;
    }
    struct slab *slab = (struct slab *)ALIGN_DOWN((uint64_t)memory, (uint64_t)FRAME_SIZE);
    ASSERT(slab->used && slab->class == class_of(size));
    if (!slab->free)
        list_push_front(&frame_info(slab)->payer->slabs.partial[slab->class], &slab->link);
    *(void **)memory = slab->free;
    slab->free = memory;
    if (--slab->used == 0) {
        list_remove(&slab->link);
        frame_free(slab, 1);
    }
}
