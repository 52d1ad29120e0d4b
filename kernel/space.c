/* SPDX-License-Identifier: MIT */
/* Spaces: creation, and the dispatch by kind. */
#include "kernel/space.h"

#include "kernel/assert.h"
#include "kernel/bitmap_space.h"
#include "kernel/page_table.h"
#include "kernel/pd.h"
#include "lib/string.h"

#define TABLE_SIZE 512u

static const struct { uint64_t limit; uint8_t frames; } kinds[] = {
    [OBJECT_SPACE_OBJ] = {ABI_SEL_MAX + 1ull, 1},
    [OBJECT_SPACE_HST] = {ABI_USER_END / FRAME_SIZE, 1},
    [OBJECT_SPACE_GST] = {1ull << 36, 1},
    [OBJECT_SPACE_PIO] = {0x10000, PORT_BITMAP_FRAMES},
    [OBJECT_SPACE_MSR] = {1ull << 32, MSR_BITMAP_FRAMES},
};

static const uint64_t *host_template;

void space_set_template(const uint64_t *pml4)
{
    host_template = pml4;
}

uint64_t space_limit(const struct space *space)
{
    if (space_is_memory(space) && !space->root)
        return 1ull << 40;
    return kinds[space->object.type].limit;
}

/* The first of its kind is the one that the PD's threads run in. */
static void adopt(struct pd *pd, struct space *space)
{
    if (space->object.type == OBJECT_SPACE_OBJ && !pd->objects) {
        pd->objects = space;
    } else if (space->object.type == OBJECT_SPACE_HST && !pd->host) {
        pd->host = space;
        pd->cr3 = pool_phys(space->root);
    } else if (space->object.type == OBJECT_SPACE_PIO && !pd->ports) {
        pd->ports = space;
        pd->port_frame = pool_phys(space->root);
    }
}

struct space *space_create(struct pd *pd, enum object_type kind, bool source_only)
{
    unsigned frames = kinds[kind].frames;
    struct space *space = slab_alloc(pd, sizeof *space);

    if (!space)
        return NULL;
    if (!source_only) {
        space->root = frame_alloc(pd, frames);
        if (!space->root) {
            slab_free(space, sizeof *space);
            return NULL;
        }
        if (kind == OBJECT_SPACE_HST)
            memcpy((uint64_t *)space->root + 256, host_template + 256, FRAME_SIZE / 2);
        else if (kind == OBJECT_SPACE_PIO || kind == OBJECT_SPACE_MSR)
            memset(space->root, 0xff, (size_t)frames * FRAME_SIZE);
    }
    list_init(&space->revokes);
    object_init(&space->object, kind, pd);
    if (!source_only)
        adopt(pd, space);
    return space;
}

void space_free(struct space *space)
{
    ASSERT(!space->nodes.root);
    while (list_pop_front(&space->revokes)) {
        // a revocation that was under way has nothing left to do
    }
    if (space->root)
        frame_free(space->root, kinds[space->object.type].frames);
    object_drop(&space->object);
    slab_free(space, sizeof *space);
}

uint64_t space_leaves(const struct node *node)
{
    return space_is_memory(node->space) ? page_table_leaves(node->rb.key, node->phys, node->count)
                                        : node->count;
}

void space_plan(struct reserve *reserve, const struct node *node)
{
    if (space_is_memory(node->space)) {
        page_table_plan(reserve, node);
    } else if (node->space->object.type == OBJECT_SPACE_OBJ) {
        cap_t **directory = node->space->root;
        uint64_t table = node->rb.key / TABLE_SIZE;
        if (!directory[table] && reserve->seen[0] != table) {
            reserve->seen[0] = table;
            reserve->tables++;
        }
    }
}

static void map_capability(const struct node *node, struct frame_list *frames)
{
    cap_t **entry = (cap_t **)node->space->root + node->rb.key / TABLE_SIZE;

    if (!*entry)
        *entry = frame_list_pop(frames);
    ASSERT(*entry && (*entry)[node->rb.key % TABLE_SIZE] == 0);
    frame_info(*entry)->used++;
    __atomic_store_n(&(*entry)[node->rb.key % TABLE_SIZE], (cap_t)node->object | node->perms,
                     __ATOMIC_RELEASE);
}

static void unmap_capability(const struct node *node, struct frame_list *tables)
{
    cap_t **entry = (cap_t **)node->space->root + node->rb.key / TABLE_SIZE;

    (*entry)[node->rb.key % TABLE_SIZE] = 0;
    if (--frame_info(*entry)->used == 0) {
        frame_list_push(tables, *entry);
        *entry = NULL;
    }
}

void space_map(const struct node *node, struct frame_list *frames)
{
    if (!node->space->root)
        return;
    if (node->space->object.type == OBJECT_SPACE_OBJ)
        map_capability(node, frames);
    else if (space_is_memory(node->space))
        page_table_map(node, frames);
    else
        bitmap_space_set(node, true);
}

void space_unmap(const struct node *node, struct frame_list *tables)
{
    if (!node->space->root)
        return;
    if (node->space->object.type == OBJECT_SPACE_OBJ)
        unmap_capability(node, tables);
    else if (space_is_memory(node->space))
        page_table_unmap(node, tables);
    else
        bitmap_space_set(node, false);
}
