/* SPDX-License-Identifier: MIT */
/*
 * The derivation tree. A node is a range of a space that holds something: capabilities (always
 * one), memory, ports or MSRs. It was derived from a part of its parent node, or is a root: what
 * exists since boot, or the capability that made an object. Nodes of one space do not overlap. The
 * PD that owns the space pays. Everything here is under the tree lock.
 */
#ifndef KERNEL_NODE_H
#define KERNEL_NODE_H

#include "kernel/object.h"
#include "kernel/pool.h"
#include "lib/rbtree.h"

struct ec;
struct space;

enum node_flags {
    NODE_BOOT   = 1, // a root that revocation spares
    NODE_KERNEL = 2  // UTCB, state page: nothing can be derived from it
};

struct node {
    struct rb_node rb;        // key: base
    uint64_t count;
    struct space *space;
    struct node *parent;      // NULL: a root
    struct list_node children, sibling;
    uint64_t source;          // base of the part of the parent that it was derived from
    union {
        struct object *object; // object space
        uint64_t phys;         // memory: page number of the base
    };
    struct ec *ec;            // NODE_KERNEL: whose page it is; NULL for the information page
    uint8_t perms;
    uint8_t cache;            // enum of abi/hypercall.h
    uint8_t depth;
    uint8_t flags;
};
_Static_assert(sizeof(struct node) <= 128, "one slab class");

static inline struct node *node_of(struct rb_node *rb)
{
    return rb ? rb_entry(rb, struct node, rb) : NULL;
}

/* The first node of the space that touches [base, base + count); then what follows it. */
struct node *node_first(const struct space *space, uint64_t base, uint64_t count);
static inline struct node *node_next(const struct node *node, uint64_t base, uint64_t count)
{
    struct node *next = node_of(rb_next(&node->rb));
    return next && next->rb.key - base < count ? next : NULL;
}

/*
 * What a derivation or creation needs, taken beforehand so that the commit cannot fail: nodes
 * (described, not linked) and frames for tables. On a failure nothing is left.
 */
struct reserve {
    struct space *space;      // destination; its owner pays
    struct node *nodes;       // in ascending order; linked by rb.parent until the commit
    struct node *last;
    uint64_t leaves;          // entries that the nodes will take
    uint64_t tables;          // frames needed
    uint64_t seen[3];         // last missing table counted, by level
    struct frame_list frames;
};

void reserve_init(struct reserve *reserve, struct space *space);
/*
 * One more node, a root of one unit without permissions, for the caller to describe (key, count,
 * parent, source, what it holds, permissions); then reserve_plan() counts what it takes. NULL: out
 * of memory. After any failure reserve_cancel() is due.
 */
struct node *reserve_node(struct reserve *reserve, uint64_t base) MUST_CHECK;
void reserve_plan(struct reserve *reserve, const struct node *node);
/* Takes the frames, after the last node. */
bool reserve_frames(struct reserve *reserve) MUST_CHECK;
void reserve_cancel(struct reserve *reserve);
/* Links all nodes and fills in the space. Returns the first node. */
struct node *reserve_commit(struct reserve *reserve);

/* Takes a node without children out of its space. Tables that it leaves empty go on the list. */
void node_remove(struct node *node, struct frame_list *tables);

#endif
