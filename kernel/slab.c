/* SPDX-License-Identifier: MIT */
/*
 * Slabs: a frame with a header and equal pieces; free pieces are linked through their first word.
 */
#include "kernel/slab.h"

#include "kernel/assert.h"
#include "kernel/pd.h"
#include "lib/string.h"

struct slab {
    struct list_node link; // in the cache's partial list while a piece is free
    void *free;    // pieces that were used before
    uint16_t fresh; // offset of the first piece that never was
    uint16_t used;
    uint16_t class;
};

#define SLAB_HEADER 64u
_Static_assert(sizeof(struct slab) <= SLAB_HEADER, "pieces stay aligned");

/* Multiples of 64 that divide what the header leaves without much rest. */
static const uint16_t class_size[SLAB_CLASSES] = {64,  128, 192, 256,  384,
                                                  576, 768, 960, 1344, SLAB_MAX};

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
    struct slab *slab = frame_take(payer, 1);

    if (!slab)
        return NULL;
    frame_info(slab)->clean = false;
    *slab = (struct slab){.fresh = SLAB_HEADER, .class = (uint16_t)class};
    list_push_front(&payer->slabs.partial[class], &slab->link);
    return slab;
}

static bool is_full(const struct slab *slab)
{
    return !slab->free && slab->fresh + class_size[slab->class] > (int)FRAME_SIZE;
}

void *slab_take(struct pd *payer, unsigned size)
{
    if (pool_fails())
        return NULL;
    unsigned class = class_of(size);
    struct list_node *first = list_first(&payer->slabs.partial[class]);
    struct slab *slab = first ? list_entry(first, struct slab, link) : slab_new(payer, class);
    if (!slab)
        return NULL;
    void *piece = slab->free;
    if (piece) {
        slab->free = *(void **)piece;
    } else {
        piece = (char *)slab + slab->fresh;
        slab->fresh = (uint16_t)(slab->fresh + class_size[class]);
    }
    slab->used++;
    if (is_full(slab))
        list_remove(&slab->link);
    return piece;
}

void *slab_alloc(struct pd *payer, unsigned size)
{
    if (size > SLAB_MAX)
        return frame_alloc(payer, 1);
    void *piece = slab_take(payer, size);
    return piece ? memset(piece, 0, size) : NULL;
}

void slab_free(void *memory, unsigned size)
{
    if (size > SLAB_MAX) {
        frame_free(memory, 1);
        return;
    }
    struct slab *slab = (struct slab *)ALIGN_DOWN((uint64_t)memory, (uint64_t)FRAME_SIZE);
    ASSERT(slab->used && slab->class == class_of(size));
    if (is_full(slab))
        list_push_front(&frame_info(slab)->payer->slabs.partial[slab->class], &slab->link);
    *(void **)memory = slab->free;
    slab->free = memory;
    if (--slab->used == 0) {
        list_remove(&slab->link);
        frame_free(slab, 1);
    }
}
