/* SPDX-License-Identifier: MIT */
/* Page tables. Levels: 0 table of pages, 1 page directory, 2, 3 the root. */
#include "kernel/page_table.h"

#include "kernel/assert.h"
#include "kernel/paging.h"
#include "kernel/space.h"

#define ENTRIES 512u
#define LARGE   512u // pages in a 2 MiB page
#define LEVELS  4u
#define TABLE   (PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED)

static bool is_large(uint64_t base, uint64_t phys, uint64_t count)
{
    return count >= LARGE && base % LARGE == 0 && phys % LARGE == 0;
}

static unsigned index_of(uint64_t page, unsigned level)
{
    return (unsigned)(page >> 9 * level) % ENTRIES;
}

static uint64_t *table_of(uint64_t entry)
{
    return pool_virt(entry & PTE_ADDRESS);
}

uint64_t page_table_leaves(uint64_t base, uint64_t phys, uint64_t count)
{
    if ((base ^ phys) % LARGE || count < LARGE)
        return count;
    uint64_t first = ALIGN_UP(base, LARGE), end = ALIGN_DOWN(base + count, LARGE);
    return first < end ? count - (end - first) + (end - first) / LARGE : count;
}

/*
 * Counts what is missing above the leaf at `page`, once: `seen` has the last missing table of each
 * level below the root.
 */
static void plan_leaf(struct reserve *reserve, uint64_t page, unsigned leaf_level)
{
    uint64_t *table = reserve->space->root;

    for (unsigned level = LEVELS - 1; level > leaf_level; level--) {
        uint64_t entry = table ? table[index_of(page, level)] : 0;
        uint64_t name = page >> 9 * level;
        if (!entry && reserve->seen[level - 1] != name) {
            reserve->seen[level - 1] = name;
            reserve->tables++;
        }
        table = entry ? table_of(entry) : NULL;
    }
}

void page_table_plan(struct reserve *reserve, const struct node *node)
{
    if (!node->space->root)
        return;
    for (uint64_t at = 0; at < node->count;) {
        uint64_t page = node->rb.key + at;
        plan_leaf(reserve, page, is_large(page, node->phys + at, node->count - at));
        at += LARGE - page % LARGE;
    }
}

_Static_assert(PTE_PRESENT == ABI_PERM_MEM_R && PTE_WRITE == ABI_PERM_MEM_W, "leaf_bits");

static uint64_t leaf_bits(const struct node *node)
{
    static const uint64_t cache[] = {PTE_CACHE_WB, PTE_CACHE_UC, PTE_CACHE_WC}; // by ABI_CACHE_*

    return PTE_USER | PTE_ACCESSED | PTE_DIRTY | cache[node->cache] |
           (node->perms & (PTE_PRESENT | PTE_WRITE)) | (node->perms & ABI_PERM_MEM_X ? 0 : PTE_NX);
}

static uint64_t *descend(uint64_t *table, uint64_t page, unsigned leaf_level,
                         struct frame_list *frames)
{
    for (unsigned level = LEVELS - 1; level > leaf_level; level--) {
        uint64_t *entry = &table[index_of(page, level)];
        if (!*entry) {
            void *frame = frame_list_pop(frames);
            ASSERT(frame);
            frame_info(table)->used++;
            __atomic_store_n(entry, pool_phys(frame) | TABLE, __ATOMIC_RELEASE);
        }
        table = table_of(*entry);
    }
    return table;
}

void page_table_map(const struct node *node, struct frame_list *frames)
{
    uint64_t bits = leaf_bits(node);

    for (uint64_t at = 0; at < node->count;) {
        uint64_t page = node->rb.key + at, phys = node->phys + at;
        bool large = is_large(page, phys, node->count - at);
        uint64_t *table = descend(node->space->root, page, large, frames);
        uint64_t stop = large ? 1 : MIN(node->count - at, LARGE - page % LARGE);
        uint64_t *entry = &table[index_of(page, large)];
        for (uint64_t i = 0; i < stop; i++) {
            ASSERT(!entry[i]);
            entry[i] = (phys + i) << PAGE_SHIFT | bits | (large ? PTE_LARGE : 0);
        }
        frame_info(table)->used = (uint16_t)(frame_info(table)->used + stop);
        at += large ? LARGE : stop;
    }
}

/* Clears `n` entries at `page`; gives up the tables on the way that have none left. */
static void clear(uint64_t *root, uint64_t page, unsigned leaf_level, uint64_t n,
                  struct frame_list *tables)
{
    uint64_t *path[LEVELS] = {[LEVELS - 1] = root};

    for (unsigned level = LEVELS - 1; level > leaf_level; level--)
        path[level - 1] = table_of(path[level][index_of(page, level)]);
    for (uint64_t i = 0; i < n; i++)
        path[leaf_level][index_of(page, leaf_level) + i] = 0;
    for (unsigned level = leaf_level;; level++) {
        struct frame_info *info = frame_info(path[level]);
        info->used = (uint16_t)(info->used - n);
        if (info->used || level == LEVELS - 1)
            break;
        path[level + 1][index_of(page, level + 1)] = 0;
        frame_list_push(tables, path[level]);
        n = 1;
    }
}

void page_table_unmap(const struct node *node, struct frame_list *tables)
{
    for (uint64_t at = 0; at < node->count;) {
        uint64_t page = node->rb.key + at;
        bool large = is_large(page, node->phys + at, node->count - at);
        uint64_t n = large ? 1 : MIN(node->count - at, LARGE - page % LARGE);
        clear(node->space->root, page, large, n, tables);
        at += large ? LARGE : n;
    }
}
