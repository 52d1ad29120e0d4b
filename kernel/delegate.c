/* SPDX-License-Identifier: MIT */
/* Delegation: describe all nodes and take all memory first, then commit. */
#include "kernel/delegate.h"

#include "kernel/ec.h"

static bool overlaps(uint64_t a, uint64_t a_count, uint64_t b, uint64_t b_count)
{
    return a < b + b_count && b < a + a_count;
}

bool node_is_revoked(const struct node *node)
{
    uint64_t base = node->rb.key, count = node->count;

    for (; node; base = node->source, count = node->count, node = node->parent)
        list_for_each(link, &node->space->revokes) {
            struct ec *ec = list_entry(link, struct ec, revoke_link);
            if (overlaps(base, count, ec->revoke_base, ec->revoke_count))
                return true;
        }
    return false;
}

static bool kinds_fit(const struct delegation *d)
{
    unsigned from = d->source->object.type, to = d->target->object.type;

    return from == to ||
           (from == OBJECT_SPACE_HST && (to == OBJECT_SPACE_GST || to == OBJECT_SPACE_DMA));
}

static enum abi_status check(const struct delegation *d)
{
    unsigned all = space_is_memory(d->target) ? ABI_PERM_MEM_ALL
                   : d->target->object.type == OBJECT_SPACE_OBJ ? ABI_PERM_OBJ_ALL
                   : d->target->object.type == OBJECT_SPACE_PIO ? ABI_PERM_PIO
                                                                : ABI_PERM_MSR_R | ABI_PERM_MSR_W;

    if (!kinds_fit(d) || d->perms & ~all || d->cache > ABI_CACHE_WC)
        return ABI_BAD_PARAMETER;
    if (d->cache && (d->source->root || !space_is_memory(d->source)))
        return ABI_BAD_PARAMETER;
    if (!space_is_memory(d->source) && d->source->object.type != OBJECT_SPACE_OBJ &&
        d->source_base != d->target_base)
        return ABI_BAD_PARAMETER; // a port or an MSR is what its number says
    if (!d->count || !range_fits(d->source_base, d->count, space_limit(d->source)) ||
        !range_fits(d->target_base, d->count, space_limit(d->target)))
        return ABI_BAD_PARAMETER;
    return ABI_OK;
}

/*
 * What the source node can give. A host space's execute permission protects its own threads; what
 * they can read, a guest of theirs may run.
 */
static unsigned granted(const struct delegation *d, const struct node *from)
{
    bool to_guest =
        d->target->object.type == OBJECT_SPACE_GST && d->source->object.type == OBJECT_SPACE_HST;

    return from->perms | (to_guest && from->perms & ABI_PERM_MEM_R ? ABI_PERM_MEM_X : 0);
}

/* What one source node gives. */
static struct node *derive(struct reserve *reserve, const struct delegation *d, struct node *from)
{
    uint64_t first = MAX(from->rb.key, d->source_base);
    uint64_t end = MIN(from->rb.key + from->count, d->source_base + d->count);
    struct node *node = reserve_node(reserve, first - d->source_base + d->target_base);

    if (!node)
        return NULL;
    node->count = end - first;
    node->parent = from;
    node->source = first;
    node->perms = (uint8_t)(granted(d, from) & d->perms);
    node->cache = from->cache | d->cache;
    if (space_is_memory(d->source))
        node->phys = from->phys + (first - from->rb.key);
    else
        node->object = from->object;
    reserve_plan(reserve, node);
    return node;
}

/* The nodes of the source that can be derived from. */
static struct node *usable(struct node *node, const struct delegation *d)
{
    while (node && (node->flags & NODE_KERNEL || node_is_revoked(node)))
        node = node_next(node, d->source_base, d->count);
    return node;
}

static enum abi_status reserve(struct reserve *reserve, const struct delegation *d, uint64_t *done)
{
    struct node *node = usable(node_first(d->source, d->source_base, d->count), d);

    for (; node; node = usable(node_next(node, d->source_base, d->count), d)) {
        if (node->depth + 1u > ABI_DEPTH_MAX)
            return ABI_OVERFLOW;
        const struct node *child = derive(reserve, d, node);
        if (!child)
            return ABI_OUT_OF_MEMORY;
        if (reserve->leaves > ABI_DELEGATE_MAX && d->target->object.type != OBJECT_SPACE_PIO)
            return ABI_BAD_PARAMETER;
        *done += child->count;
    }
    return reserve_frames(reserve) ? ABI_OK : ABI_OUT_OF_MEMORY;
}

enum abi_status delegate(const struct delegation *d, uint64_t *done)
{
    struct reserve r;
    enum abi_status status = check(d);

    if (status != ABI_OK)
        return status;
    if (node_first(d->target, d->target_base, d->count))
        return ABI_OCCUPIED;
    *done = 0;
    reserve_init(&r, d->target);
    status = reserve(&r, d, done);
    if (status == ABI_OK)
        reserve_commit(&r);
    else
        reserve_cancel(&r);
    return status;
}

enum abi_status slot_reserve(struct reserve *slot, struct space *space, uint64_t sel)
{
    if (!range_fits(sel, 1, space_limit(space)))
        return ABI_BAD_PARAMETER;
    if (space->object.dying)
        return ABI_BAD_CAPABILITY;
    if (node_first(space, sel, 1))
        return ABI_OCCUPIED;
    reserve_init(slot, space);
    const struct node *node = reserve_node(slot, sel);
    if (node)
        reserve_plan(slot, node);
    if (node && reserve_frames(slot))
        return ABI_OK;
    reserve_cancel(slot);
    return ABI_OUT_OF_MEMORY;
}

void slot_bind(struct reserve *slot, struct object *object, uint8_t perms, uint8_t flags)
{
    struct node *node = slot->nodes;

    node->object = object;
    node->perms = perms;
    node->flags = flags;
    object->root = node;
    reserve_commit(slot);
}
