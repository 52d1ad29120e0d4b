/* SPDX-License-Identifier: MIT */
/* The pool of kernel memory: free frames in a list, and a few bytes about each frame. */
#include "kernel/pool.h"

#include "kernel/assert.h"
#include "kernel/pd.h"
#include "lib/string.h"

static struct {
    char *memory;
    uint64_t phys;
    uint32_t frames;
    uint32_t free;
    uint64_t fail_at;        // assertion build
    struct frame_info *info; // of each frame, and one more: the head of the free ones
} pool;

static void link_free(uint32_t n)
{
    struct frame_info *head = &pool.info[pool.frames];

    pool.info[n].next = head->next;
    pool.info[n].prev = pool.frames;
    pool.info[head->next].prev = n;
    head->next = n;
    pool.info[n].payer = NULL;
    pool.free++;
}

static void unlink_free(uint32_t n)
{
    pool.info[pool.info[n].prev].next = pool.info[n].next;
    pool.info[pool.info[n].next].prev = pool.info[n].prev;
    pool.free--;
}

void pool_init(void *memory, uint64_t phys, uint64_t frames)
{
    uint64_t bytes = (frames + 1) * sizeof(struct frame_info),
             own = ALIGN_UP(bytes, (uint64_t)FRAME_SIZE) / FRAME_SIZE;

    memset(memory, 0, own * FRAME_SIZE);
    pool.memory = memory;
    pool.phys = phys;
    pool.frames = (uint32_t)frames;
    pool.free = 0;
    pool.info = memory;
    pool.info[frames] = (struct frame_info){.next = pool.frames, .prev = pool.frames};
    for (uint32_t n = pool.frames; n-- > own;)
        link_free(n);
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
    return ASSERTIONS && pool.fail_at && --pool.fail_at == 0;
}

/*
 * The first of `count` free frames in a row; those of the bookkeeping at the start have no payer,
 * but are not free.
 */
static uint32_t find(unsigned count)
{
    uint32_t run = 0;

    if (count == 1)
        return pool.info[pool.frames].next;
    for (uint32_t n = 0; n < pool.frames; n++) {
        bool is_free = !pool.info[n].payer && pool.info[n].next;
        run = is_free ? run + 1 : 0;
        if (run == count)
            return n - count + 1;
    }
    return pool.frames;
}

void *frame_take(struct pd *payer, unsigned count)
{
    if (pool_fails() || !account_has(&payer->account, count))
        return NULL;
    uint32_t first = find(count);
    if (first == pool.frames)
        return NULL;
    for (uint32_t n = first; n < first + count; n++) {
        unlink_free(n);
        pool.info[n].payer = payer;
        pool.info[n].used = 0;
    }
    payer->account.used += count;
    return pool.memory + (uint64_t)first * FRAME_SIZE;
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
    struct frame_info *info = frame_info(memory);
    uint32_t first = (uint32_t)(info - pool.info);

    ASSERT(first + count <= pool.frames && info->payer && info->payer->account.used >= count);
    info->payer->account.used -= count;
    for (unsigned i = 0; i < count; i++)
        link_free(first + i);
}

struct frame_info *frame_info(const void *frame)
{
    return &pool.info[(uint64_t)((const char *)frame - pool.memory) / FRAME_SIZE];
}

void frame_list_push(struct frame_list *list, void *memory)
{
    struct frame_info *info = frame_info(memory);

    info->next = list->first;
    list->first = (uint32_t)(info - pool.info);
}

void *frame_list_pop(struct frame_list *list)
{
    uint32_t n = list->first;

    if (!n)
        return NULL;
    list->first = pool.info[n].next;
    return pool.memory + (uint64_t)n * FRAME_SIZE;
}

void frame_list_free(struct frame_list *list)
{
    for (void *frame; (frame = frame_list_pop(list)) != NULL;) {
        frame_free(frame, 1);
        frame_info(frame)->clean = true;
    }
}
