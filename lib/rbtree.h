/* SPDX-License-Identifier: MIT */
/*
 * An intrusive red-black tree of nodes ordered by a 64-bit key: the base of a range, a deadline,
 * an identifier. The caller sets node->key before the insertion and leaves it alone until the
 * removal. Equal keys are allowed; they keep the order of insertion. The tree owns nothing and
 * allocates nothing; insertion and removal cannot fail and cost at most about twice the logarithm
 * of the size. No locking.
 */
#ifndef LIB_RBTREE_H
#define LIB_RBTREE_H

#include "lib/align.h"

struct rb_node {
    uint64_t key;
    struct rb_node *parent;
    struct rb_node *child[2]; // smaller keys, greater keys
    bool red;
};

struct rb_tree {
    struct rb_node *root; // a zeroed tree is empty
};

#define rb_entry(node, T, M) container_of(node, T, M)

/* Visit all nodes in ascending order; the body must not change the tree. */
#define rb_for_each(node, tree) \
    for (struct rb_node *node = rb_first(tree); node; node = rb_next(node))

void rb_insert(struct rb_tree *tree, struct rb_node *node);
void rb_remove(struct rb_tree *tree, struct rb_node *node);

/* Each returns NULL where there is no such node. */
struct rb_node *rb_find(const struct rb_tree *tree, uint64_t key);    // equal (any of several)
struct rb_node *rb_floor(const struct rb_tree *tree, uint64_t key);   // greatest that is <= key
struct rb_node *rb_ceiling(const struct rb_tree *tree, uint64_t key); // least that is >= key
struct rb_node *rb_first(const struct rb_tree *tree);
struct rb_node *rb_last(const struct rb_tree *tree);
struct rb_node *rb_next(const struct rb_node *node);
struct rb_node *rb_prev(const struct rb_node *node);

#endif
