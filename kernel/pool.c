/* SPDX-License-Identifier: MIT */
/* The pool of kernel memory: a bitmap of frames and a few bytes about each. */
#include "kernel/pool.h"

#include "kernel/assert.h"
#include "kernel/pd.h"
#include "lib/bitmap.h"
#include "lib/string.h"

struct pool {
    char *memory;
    uint64_t phys;
    uint64_t frames;
    uint64_t free;
    uint64_t hint;          // where to look first
    struct frame_list ready; // frames that were freed lately, for a quick reuse; taken in the map
    unsigned ready_count;
    uint64_t fail_at;       // assertion build
    uint64_t *map;          // 1: taken
    struct frame_info *info;
};

static struct pool pool;

void pool_init(void *memory, uint64_t phys, uint64_t frames)
{
    uint64_t map_bytes = BITMAP_WORDS(frames) * 8;
    uint64_t own = (map_bytes + frames * sizeof(struct frame_info) + FRAME_SIZE - 1) / FRAME_SIZE;

    memset(memory, 0, own * FRAME_SIZE);
    pool = (struct pool){.memory = memory, .phys = phys, .frames = frames, .free = frames - own, .hint = own};
    pool.map = memory; // no frame is clean at first
    pool.info = (struct frame_info *)(void *)(pool.memory + map_bytes);
    bitmap_set_range(pool.map, 0, own);
}

uint64_t pool_free(void)
{
    return pool.free;
}

uint64_t pool_size(void)
{
    return pool.frames;
}

uint64_t pool_phys(const void *address)
{
    return pool.phys + (uint64_t)((const char *)address - pool.memory);
}

void *pool_virt(uint64_t phys)
{
    return pool.memory + (phys - pool.phys);
}

void pool_fail_at(uint64_t k)
{
    pool.fail_at = k;
}

bool pool_fails(void)
{
#ifdef GRAFT_ASSERT
    return pool.fail_at && --pool.fail_at == 0;
#else
    return false;
#endif
}

struct frame_info *frame_info(const void *frame)
{
    return &pool.info[(uint64_t)((const char *)frame - pool.memory) / FRAME_SIZE];
}

void frame_list_push(struct frame_list *list, void *memory, unsigned count)
{
    struct frame_info *info = frame_info(memory);

    info->next = list->first;
    info->count = (uint8_t)count;
    list->first = (uint32_t)(info - pool.info) + 1;
}

void *frame_list_pop(struct frame_list *list)
{
    if (!list->first)
        return NULL;
    uint32_t n = list->first - 1;
    list->first = pool.info[n].next;
    return pool.memory + (uint64_t)n * FRAME_SIZE;
}

#define READY_MAX 64u

/* Back into the map, so that they can be parts of longer pieces. */
static void flush_ready(void)
{
    for (void *frame; (frame = frame_list_pop(&pool.ready)) != NULL; pool.ready_count--)
        bitmap_clear(pool.map, (uint64_t)((char *)frame - pool.memory) / FRAME_SIZE);
}

static uint64_t find(unsigned count)
{
    if (count > 1) {
        uint64_t piece = bitmap_find_clear_range(pool.map, pool.frames, count, 1);
        if (piece != BITMAP_NONE)
            return piece;
        flush_ready();
        return bitmap_find_clear_range(pool.map, pool.frames, count, 1);
    }
    uint64_t n = bitmap_find_clear(pool.map, pool.frames, pool.hint);
    return n != BITMAP_NONE ? n : bitmap_find_clear(pool.map, pool.frames, 0);
}

void *frame_take(struct pd *payer, unsigned count)
{
    if (pool_fails() || !account_has(&payer->account, count))
        return NULL;
    void *memory = count == 1 ? frame_list_pop(&pool.ready) : NULL;
    if (memory) {
        pool.ready_count--;
    } else {
        uint64_t n = find(count);
        if (n == BITMAP_NONE)
            return NULL;
        if (count == 1)
            pool.hint = n + 1;
        bitmap_set_range(pool.map, n, count);
        memory = pool.memory + n * FRAME_SIZE;
    }
    pool.free -= count;
    payer->account.used += count;
    struct frame_info *info = frame_info(memory);
    info->payer = payer;
    info->used = 0;
    return memory;
}

void *frame_alloc(struct pd *payer, unsigned count)
{
    char *memory = frame_take(payer, count);

    for (unsigned i = 0; memory && i < count; i++) {
        struct frame_info *info = frame_info(memory + i * FRAME_SIZE);
        if (!info->clean)
            memset(memory + i * FRAME_SIZE, 0, FRAME_SIZE);
        info->clean = false;
    }
    return memory;
}

void frame_free(void *memory, unsigned count)
{
    struct pd *payer = frame_info(memory)->payer;
    uint64_t n = (uint64_t)((char *)memory - pool.memory) / FRAME_SIZE;

    ASSERT(n + count <= pool.frames && bitmap_test(pool.map, n) && payer->account.used >= count);
    if (count == 1 && pool.ready_count < READY_MAX) {
        frame_list_push(&pool.ready, memory, 1);
        pool.ready_count++;
    } else {
        bitmap_clear_range(pool.map, n, count);
        pool.hint = MIN(pool.hint, n);
    }
    pool.free += count;
    payer->account.used -= count;
}

void frame_list_free(struct frame_list *list)
{
    for (void *frame; (frame = frame_list_pop(list)) != NULL;) {
        frame_free(frame, frame_info(frame)->count);
        frame_info(frame)->clean = true;
    }
}
