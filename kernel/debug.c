/* SPDX-License-Identifier: MIT */
/* The debug hypercall of the assertion build (abi/debug.h): failing allocations, counts, and a walk over all invariants. */
#include "kernel/hypercall.h"


#include "abi/debug.h"
#include "kernel/assert.h"
#include "kernel/pd.h"
#include "kernel/space.h"
#include "kernel/tree.h"

static struct pd *root_of(const struct ec *ec)
{
    struct pd *pd = ec->pd;

    while (pd->object.owner)
        pd = pd->object.owner;
    return pd;
}

static uint64_t check_space(const struct space *space)
{
    uint64_t count = 0, end = 0;

    rb_for_each(rb, &space->nodes) {
        struct node *node = node_of(rb);
        ASSERT(node->space == space && node->count && node->rb.key >= end);
        end = node->rb.key + node->count;
        ASSERT(end <= space_limit(space));
        if (node->parent) {
            const struct node *p = node->parent;
            ASSERT(node->depth == p->depth + 1 && ((node->perms & ~p->perms) == 0 || space->object.type == OBJECT_SPACE_GST));
            ASSERT(node->source >= p->rb.key && node->source + node->count <= p->rb.key + p->count);
        }
        list_for_each(link, &node->children)
            ASSERT(list_entry(link, struct node, sibling)->parent == node);
        if (space->object.type == OBJECT_SPACE_OBJ) {
            cap_t *table = ((cap_t **)space->root)[node->rb.key / 512];
            ASSERT(table && table[node->rb.key % 512] == ((cap_t)node->object | node->perms));
            ASSERT(!node->parent == (node->object->root == node));
        }
        count++;
    }
    return count;
}

/* Objects and nodes that a PD owns, with those of its children. */
static uint64_t check_pd(const struct pd *pd)
{
    uint64_t count = 0, given = 0, owned = 0;

    list_for_each(link, &pd->owned) {
        struct object *object = list_entry(link, struct object, link);
        ASSERT(object->owner == pd);
        ASSERT(!object->root || object->root->object == object);
        count++;
        owned++;
        if (object->type == OBJECT_PD) {
            count += check_pd(pd_of(object));
            given += pd_of(object)->account.limit;
        } else if (object->type < OBJECT_PD) {
            count += check_space(space_of(object));
        }
    }
    ASSERT(owned <= pd->object.refs && pd->account.used <= pd->account.limit && given <= pd->account.used);
    return count;
}

struct result debug_call(struct ec *ec)
{
    unsigned op = hypercall_flags(ec);

    if ((ec->regs.rdi & 0xff) != ABI_DEBUG || op > ABI_DEBUG_CHECK)
        return status_result(ABI_BAD_HYPERCALL);
    tree_lock();
    uint64_t objects = check_pd(root_of(ec)), frames = pool_free();
    if (op == ABI_DEBUG_FAIL_AT)
        pool_fail_at(ec->regs.rsi);
    tree_unlock();
    if (op == ABI_DEBUG_COUNT)
        hypercall_finish(ec, ABI_OK, frames, objects);
    return status_result(ABI_OK);
}
