/* SPDX-License-Identifier: MIT */
/*
 * The heap: blocks in address order inside areas that core gave, first fit, neighbours merged when freed. Areas are not given back.
 */
#include "framework/memory.h"
#include "framework/slots.h"
#include "framework/sync.h"
#include "lib/align.h"

#define AREA_SIZE  0x10000ull
#define GRAIN      16u

/* Before each block; the size includes this header. An area ends in a block of size 0 that is in use. */
struct block {
    uint64_t size;
    uint32_t before; // size of the block before it, in grains; 0 at an area's start
    uint32_t used;
};
_Static_assert(sizeof(struct block) == GRAIN, "blocks keep the alignment");

#define AREA_MAX 64u

/* One heap a component: the component is the instance. */
static struct {
    struct mutex  mutex;
    unsigned      areas;
    struct block *area[AREA_MAX];
} heap;

static struct block *next_of(struct block *block)
{
    return (struct block *)((uint64_t)block + block->size);
}

static void set_size(struct block *block, uint64_t size)
{
    block->size = size;
    next_of(block)->before = (uint32_t)(size / GRAIN);
}

static struct block *area_add(uint64_t size)
{
    struct mapping memory;
    struct block *block;

    size = ALIGN_UP(size + 2 * sizeof *block, AREA_SIZE);
    if (heap.areas == AREA_MAX || size > 1ull << 35 || memory_alloc(&memory, size, PAGE_SIZE) != STATUS_OK)
        return NULL;
    block = memory.address; // zeroed: the mark at the end needs its flag only
    set_size(block, size - sizeof *block);
    next_of(block)->used = 1;
    heap.area[heap.areas++] = block;
    return block;
}

/* Where in this free block an aligned block of `size` bytes can begin, or NULL. A gap before it must be a block or nothing. */
static struct block *fit(struct block *block, uint64_t size, uint64_t align)
{
    uint64_t payload = ALIGN_UP((uint64_t)(block + 1), align);
    struct block *start = (struct block *)payload - 1;

    return (char *)start + size <= (char *)block + block->size ? start : NULL;
}

static void *take(struct block *block, struct block *start, uint64_t size)
{
    uint64_t gap = (uint64_t)((char *)start - (char *)block), rest = block->size - gap;

    if (gap) {
        set_size(block, gap);
        start->used = 0;
    }
    if (rest - size >= 2 * GRAIN) {
        struct block *tail = (struct block *)((uint64_t)start + size);

        set_size(start, size);
        tail->used = 0;
        set_size(tail, rest - size);
    } else {
        set_size(start, rest);
    }
    start->used = 1;
    return start + 1;
}

static void *find(uint64_t size, uint64_t align)
{
    for (unsigned i = 0; i < heap.areas; i++)
        for (struct block *block = heap.area[i]; block->size; block = next_of(block)) {
            struct block *start = block->used ? NULL : fit(block, size, align);

            if (start)
                return take(block, start, size);
        }
    return NULL;
}

enum status heap_start(void)
{
    uint32_t sm = slots_alloc(1);

    if (sm == SEL_NONE)
        return STATUS_QUOTA;
    mutex_init(&heap.mutex, sm);
    return status_of(hc_create_sm(sm, SEL_PD, 0));
}

void *heap_alloc_aligned(size_t size, size_t align)
{
    void *memory;

    if (size > 1ull << 34 || !is_power_of_two(align) || align > PAGE_SIZE)
        return NULL;
    size = ALIGN_UP(size + sizeof(struct block), GRAIN);
    align = MAX(align, GRAIN);
    mutex_lock(&heap.mutex);
    memory = find(size, align);
    if (!memory && area_add(size + align))
        memory = find(size, align);
    mutex_unlock(&heap.mutex);
    return memory;
}

void *heap_alloc(size_t size)
{
    return heap_alloc_aligned(size, GRAIN);
}

void heap_free(void *memory)
{
    struct block *block = memory, *next;

    if (!memory)
        return;
    mutex_lock(&heap.mutex);
    block--;
    block->used = 0;
    next = next_of(block);
    if (!next->used)
        set_size(block, block->size + next->size);
    if (block->before) {
        struct block *before = (struct block *)((uint64_t)block - (uint64_t)block->before * GRAIN);

        if (!before->used)
            set_size(before, before->size + block->size);
    }
    mutex_unlock(&heap.mutex);
}
