/* SPDX-License-Identifier: MIT */
/* The debug hypercall of the assertion build (abi/debug.h): failing allocations, counts, and a walk over all invariants. */
#include "kernel/hypercall.h"

#include "abi/debug.h"
#include "kernel/assert.h"
#include "kernel/cpu.h"
#include "kernel/object_kinds.h"
#include "kernel/paging.h"
#include "kernel/pd.h"
#include "kernel/space.h"
#include "kernel/tree.h"

#define ENTRIES 512u

struct walk {
    uint64_t count;  // objects and nodes
    uint64_t digest; // FNV-1a, a word at a time
    uint64_t unspent; // frames that PDs may still take
};

static void mix(struct walk *walk, uint64_t word)
{
    walk->digest = (walk->digest ^ word) * 0x100000001b3ull;
}

static struct pd *root_of(const struct ec *ec)
{
    struct pd *pd = ec->pd;

    while (pd->object.owner)
        pd = pd->object.owner;
    return pd;
}

/* Leaf entries below a page table. A table below the root counts its entries, and has some. */
static uint64_t table_leaves(const uint64_t *table, unsigned level, unsigned entries, bool root)
{
    uint64_t leaves = 0, used = 0;

    for (unsigned i = 0; i < entries; i++) {
        if (!table[i])
            continue;
        used++;
        if (level == 0 || (level == 1 && table[i] & PTE_LARGE))
            leaves++;
        else
            leaves += table_leaves(pool_virt(table[i] & PTE_ADDRESS), level - 1, ENTRIES, false);
    }
    ASSERT(root || (used && used == frame_info(table)->used));
    return leaves;
}

/* Capabilities in an object space's tables. */
static uint64_t capabilities(cap_t *const *directory)
{
    uint64_t count = 0;

    for (unsigned i = 0; i < ENTRIES; i++) {
        uint64_t used = 0;
        for (unsigned k = 0; directory[i] && k < ENTRIES; k++)
            used += directory[i][k] != 0;
        ASSERT(!directory[i] || (used && used == frame_info(directory[i])->used));
        count += used;
    }
    return count;
}

static void check_capability(const struct space *space, const struct node *node)
{
    const cap_t *table = ((cap_t **)space->root)[node->rb.key / ENTRIES];

    ASSERT(table && table[node->rb.key % ENTRIES] == ((cap_t)node->object | node->perms));
    ASSERT(!node->parent == (node->object->root == node));
}

static void check_node(const struct node *node, struct walk *walk)
{
    const struct node *p = node->parent;

    if (p) { // what can be read, a guest may execute
        unsigned more = node->space->object.type == OBJECT_SPACE_GST ? ABI_PERM_MEM_X : 0;
        ASSERT((node->perms & ~(p->perms | more)) == 0);
        ASSERT(node->depth == p->depth + 1 && node->depth <= ABI_DEPTH_MAX);
        ASSERT(node->source >= p->rb.key && node->source + node->count <= p->rb.key + p->count);
        if (space_is_memory(node->space))
            ASSERT(node->phys - p->phys == node->source - p->rb.key && !(node->flags & NODE_KERNEL));
    }
    list_for_each(link, &node->children)
        ASSERT(list_entry(link, struct node, sibling)->parent == node);
    mix(walk, node->rb.key);
    mix(walk, node->count);
    mix(walk, node->source);
    mix(walk, node->phys);
    mix(walk, (uint64_t)node->perms << 16 | node->cache << 8 | node->flags);
    walk->count++;
}

static void check_space(const struct space *space, struct walk *walk)
{
    uint64_t end = 0, leaves = 0;

    rb_for_each(rb, &space->nodes) {
        struct node *node = node_of(rb);
        ASSERT(node->space == space && node->count && node->rb.key >= end);
        end = node->rb.key + node->count;
        ASSERT(end <= space_limit(space));
        leaves += space_leaves(node);
        check_node(node, walk);
        if (space->object.type == OBJECT_SPACE_OBJ)
            check_capability(space, node);
    }
    if (!space->root)
        return;
    if (space->object.type == OBJECT_SPACE_OBJ)
        ASSERT(capabilities(space->root) == leaves);
    else if (space_is_memory(space))
        ASSERT(table_leaves(space->root, 3, space->object.type == OBJECT_SPACE_HST ? ENTRIES / 2 : ENTRIES, true) == leaves);
}

static void check_pd(const struct pd *pd, struct walk *walk)
{
    uint64_t given = 0, owned = 0;

    list_for_each(link, &pd->owned) {
        const struct object *object = list_entry(link, struct object, link);
        ASSERT(object->owner == pd && object->root && object->root->object == object);
        ASSERT(!object->dying || object->type <= OBJECT_PD); // those wait for what they hold to go first
        mix(walk, object->type);
        walk->count++;
        owned++;
        if (object->type == OBJECT_PD)
            given += ((const struct pd *)object)->account.limit;
        else if (object->type < OBJECT_PD)
            check_space((const struct space *)object, walk);
    }
    ASSERT(owned <= pd->object.refs && pd->account.used <= pd->account.limit && given <= pd->account.used);
    mix(walk, pd->account.used);
    mix(walk, pd->account.limit);
    walk->unspent += pd->account.limit - pd->account.used;
}

/* The first PD from here on in a list of owned objects. */
static struct pd *pd_from(const struct pd *owner, struct list_node *link)
{
    while (link != &owner->owned && list_entry(link, struct object, link)->type != OBJECT_PD)
        link = link->next;
    return link != &owner->owned ? pd_of(list_entry(link, struct object, link)) : NULL;
}

/* All PDs, parents first. Without recursion: the kernel's stack is small, and PDs can be nested deeply. */
static void check_all(struct pd *root, struct walk *walk)
{
    struct pd *pd = root;

    while (pd) {
        check_pd(pd, walk);
        struct pd *next = pd_from(pd, pd->owned.next);
        while (!next && pd != root) {
            struct pd *owner = pd->object.owner;
            next = pd_from(owner, pd->object.link.next);
            pd = owner;
        }
        pd = next;
    }
    ASSERT(walk->unspent <= pool_free());
}

static void check_queues(const struct cpu *cpu)
{
    const struct sched *sched = &cpu->sched;

    for (unsigned prio = 0; prio <= ABI_PRIO_MAX; prio++) {
        ASSERT(list_is_empty(&sched->ready[prio]) == !(sched->bitmap[prio / 64] >> prio % 64 & 1));
        list_for_each(link, &sched->ready[prio]) {
            const struct sc *sc = list_entry(link, struct sc, queue);
            ASSERT(sc->ready && sc->prio == prio && sc->cpu == cpu->id && sc != cpu->current_sc);
        }
    }
    rb_for_each(rb, &sched->timeouts) {
        const struct ec *ec = rb_entry(rb, struct ec, timeout);
        ASSERT(ec->timed && ec->state == EC_BLOCKED && ec->cpu == cpu->id);
    }
    ASSERT(cpu->current_sc && !cpu->current_sc->ready && cpu->current_ec && cpu->current_ec->state == EC_RUNNABLE);
}

struct result debug_call(struct ec *ec)
{
    unsigned op = hypercall_flags(ec);
    struct walk walk = {0};

    if ((ec->regs.rdi & 0xff) != ABI_DEBUG || op > ABI_DEBUG_CHECK)
        return status_result(ABI_BAD_HYPERCALL);
    tree_lock();
    if (op == ABI_DEBUG_FAIL_AT) {
        pool_fail_at(ec->regs.rsi);
    } else {
        check_all(root_of(ec), &walk);
        check_queues(cpu_self());
    }
    uint64_t frames = pool_free();
    tree_unlock();
    if (op == ABI_DEBUG_COUNT)
        hypercall_finish(ec, ABI_OK, frames, walk.count);
    return (struct result){ABI_OK, walk.digest};
}
