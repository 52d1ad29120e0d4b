/* SPDX-License-Identifier: MIT */
/* Nodes and reservations. */
#include "kernel/node.h"

#include "kernel/assert.h"
#include "kernel/pd.h"
#include "kernel/space.h"

struct node *node_first(const struct space *space, uint64_t base, uint64_t count)
{
    struct node *node = node_of(rb_floor(&space->nodes, base));

    if (node && base - node->rb.key < node->count)
        return count ? node : NULL;
    node = node_of(node ? rb_next(&node->rb) : rb_first(&space->nodes));
    return node && node->rb.key - base < count ? node : NULL;
}

void reserve_init(struct reserve *reserve, struct space *space)
{
    *reserve = (struct reserve){.space = space, .seen = {~0ull, ~0ull, ~0ull}};
}

struct node *reserve_node(struct reserve *reserve, uint64_t base)
{
    struct node *node = slab_take(reserve->space->object.owner, sizeof *node);

    if (!node)
        return NULL;
    node->rb.key = base;
    node->rb.parent = NULL; // the next one in the reservation
    node->space = reserve->space;
    node->count = 1;
    node->source = 0;
    node->parent = NULL;
    node->ec = NULL;
    node->perms = node->cache = node->depth = node->flags = 0;
    if (reserve->last)
        reserve->last->rb.parent = &node->rb;
    else
        reserve->nodes = node;
    reserve->last = node;
    return node;
}

void reserve_plan(struct reserve *reserve, const struct node *node)
{
    if (!reserve->space->root)
        return;
    reserve->leaves += space_leaves(node);
    space_plan(reserve, node);
}

bool reserve_frames(struct reserve *reserve)
{
    for (uint64_t i = 0; i < reserve->tables; i++) {
        void *frame = frame_alloc(reserve->space->object.owner, 1);
        if (!frame)
            return false;
        frame_list_push(&reserve->frames, frame);
    }
    return true;
}

void reserve_cancel(struct reserve *reserve)
{
    for (struct node *node = reserve->nodes, *next; node; node = next) {
        next = node_of(node->rb.parent);
        slab_free(node, sizeof *node);
    }
    frame_list_free(&reserve->frames);
    reserve->nodes = NULL;
}

struct node *reserve_commit(struct reserve *reserve)
{
    for (struct node *node = reserve->nodes, *next; node; node = next) {
        next = node_of(node->rb.parent);
        list_init(&node->children);
        list_init(&node->sibling);
        if (node->parent) {
            node->depth = (uint8_t)(node->parent->depth + 1);
            list_push_back(&node->parent->children, &node->sibling);
        }
        rb_insert(&reserve->space->nodes, &node->rb);
        space_map(node, &reserve->frames);
    }
    ASSERT(!reserve->frames.first);
    return reserve->nodes;
}

void node_remove(struct node *node, struct frame_list *tables)
{
    ASSERT(list_is_empty(&node->children));
    space_unmap(node, tables);
    rb_remove(&node->space->nodes, &node->rb);
    list_remove(&node->sibling);
    slab_free(node, sizeof *node);
}
