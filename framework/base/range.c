/* SPDX-License-Identifier: MIT */
/* Free ranges: first an ordered list, since there are few. */
#include "framework/range.h"
#include "lib/align.h"

void range_init(struct range_set *set, struct range_node *nodes, size_t count)
{
    set->first = NULL;
    set->unused = NULL;
    set->free = 0;
    for (size_t i = 0; i < count; i++) {
        nodes[i].size = 0;
        nodes[i].next = set->unused;
        set->unused = &nodes[i];
    }
}

static void node_drop(struct range_set *set, struct range_node **link)
{
    struct range_node *node = *link;

    *link = node->next;
    node->size = 0;
    node->next = set->unused;
    set->unused = node;
}

static bool node_insert(struct range_set *set, struct range_node **link, uint64_t base, uint64_t size)
{
    struct range_node *node = set->unused;

    if (!node)
        return false;
    set->unused = node->next;
    node->base = base;
    node->size = size;
    node->next = *link;
    *link = node;
    return true;
}

enum status range_add(struct range_set *set, uint64_t base, uint64_t size)
{
    struct range_node **link = &set->first, *before = NULL, *after;

    if (size == 0 || base + size < base)
        return STATUS_INVALID;
    while (*link && (*link)->base < base) {
        before = *link;
        link = &before->next;
    }
    after = *link;
    if ((before && before->base + before->size > base) || (after && base + size > after->base))
        return STATUS_INVALID;
    if (before && before->base + before->size == base) {
        before->size += size;
        if (after && before->base + before->size == after->base) {
            before->size += after->size;
            node_drop(set, link);
        }
    } else if (after && base + size == after->base) {
        after->base = base;
        after->size += size;
    } else if (!node_insert(set, link, base, size)) {
        return STATUS_QUOTA;
    }
    set->free += size;
    return STATUS_OK;
}

/* Cut [base, base + size) out of the node that holds it. */
static enum status node_cut(struct range_set *set, struct range_node **link, uint64_t base, uint64_t size)
{
    struct range_node *node = *link;
    uint64_t head = base - node->base;
    uint64_t tail = node->base + node->size - (base + size);

    if (head && tail && !node_insert(set, &node->next, base + size, tail))
        return STATUS_QUOTA;
    if (head) {
        node->size = head;
    } else if (tail) {
        node->base = base + size;
        node->size = tail;
    } else {
        node_drop(set, link);
    }
    set->free -= size;
    return STATUS_OK;
}

static bool node_fits(const struct range_node *node, uint64_t size, uint64_t align, uint64_t limit, uint64_t *base)
{
    uint64_t start = ALIGN_UP(node->base, align);
    uint64_t end = MIN(node->base + node->size, limit);

    if (start < node->base || start > end || end - start < size)
        return false;
    *base = start;
    return true;
}

enum status range_take(struct range_set *set, uint64_t size, uint64_t align, uint64_t limit, uint64_t *base)
{
    struct range_node **best = NULL;
    uint64_t start;

    if (size == 0 || !is_power_of_two(align))
        return STATUS_INVALID;
    for (struct range_node **link = &set->first; *link; link = &(*link)->next)
        if (node_fits(*link, size, align, limit, &start) && (!best || (*link)->size < (*best)->size)) {
            best = link;
            *base = start;
        }
    return best ? node_cut(set, best, *base, size) : STATUS_NOT_FOUND;
}

enum status range_take_at(struct range_set *set, uint64_t base, uint64_t size)
{
    if (size == 0 || base + size < base)
        return STATUS_INVALID;
    for (struct range_node **link = &set->first; *link; link = &(*link)->next)
        if ((*link)->base <= base && base + size <= (*link)->base + (*link)->size)
            return node_cut(set, link, base, size);
    return STATUS_NOT_FOUND;
}
