/* SPDX-License-Identifier: MIT */
/*
 * Revocation goes to the leaves first. "Below" a node is what was derived from it, and, if it is
 * the root of an object: all that a PD owns, all that a space holds. There are no circles: an
 * object's root lies in a space that is older than the object, and whoever owns an object is older
 * too.
 */
#include "kernel/revoke.h"

#include "kernel/object_kinds.h"
#include "kernel/pd.h"

/* Something that has to go before this node can, or NULL. */
static struct node *below(struct node *node)
{
    struct list_node *first = list_first(&node->children);

    if (first)
        return list_entry(first, struct node, sibling);
    if (node->space->object.type != OBJECT_SPACE_OBJ || node->object->root != node)
        return NULL;
    struct object *object = node->object;
    if (object->type == OBJECT_PD) {
        object->dying = true; // creates nothing any more
        first = list_first(&pd_of(object)->owned);
        return first ? list_entry(first, struct object, link)->root : NULL;
    }
    if (object->type < OBJECT_PD) {
        object->dying = true;
        return node_of(rb_first(&space_of(object)->nodes));
    }
    return NULL;
}

static void remove_leaf(struct node *node, struct batch *batch)
{
    struct space *space = node->space;
    struct object *object = space->object.type == OBJECT_SPACE_OBJ ? node->object : NULL;
    bool root = object && object->root == node;

    batch->budget -= (int)(space_is_memory(space) ? 2 + space_leaves(node) / 4 : root ? 16 : 2);
    if (node->ec)
        node->ec->utcb_node = NULL;
    batch->flush_host |= space->object.type == OBJECT_SPACE_HST && space->root;
    batch->flush_guest |= space->object.type == OBJECT_SPACE_GST;
    batch->removed = true;
    node_remove(node, &batch->tables);
    if (root)
        object_kill(object, batch);
}

/* Removes a node with all below it. False: the batch is full. */
static bool remove_tree(struct node *node, struct batch *batch)
{
    for (;;) {
        if (batch->budget <= 0)
            return false;
        struct node *leaf = node;
        for (struct node *next; (next = below(leaf)) != NULL;)
            leaf = next;
        remove_leaf(leaf, batch);
        if (leaf == node)
            return true;
    }
}

static bool remove_children(struct node *node, uint64_t base, uint64_t count, struct batch *batch)
{
    list_for_each_safe(link, &node->children) {
        struct node *child = list_entry(link, struct node, sibling);
        if (child->source < base + count && base < child->source + child->count &&
            !remove_tree(child, batch))
            return false;
    }
    return true;
}

bool revoke_some(struct space *space, uint64_t base, uint64_t count, bool self, struct batch *batch)
{
    struct node *node = node_first(space, base, count);

    while (node) {
        uint64_t last = node->rb.key + node->count - 1;
        if (!remove_children(node, base, count, batch))
            return false;
        if (self && !(node->flags & NODE_BOOT) && !remove_tree(node, batch))
            return false;
        node =
            last - base < count - 1 ? node_first(space, last + 1, base + count - last - 1) : NULL;
    }
    return true;
}
