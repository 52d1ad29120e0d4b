/* SPDX-License-Identifier: MIT */
/*
 * The red-black tree (Cormen, Leiserson, Rivest, Stein: Introduction to Algorithms, chapter 13),
 * with both mirror images of each case folded into one by the side s of the parent on which a
 * node hangs. NULL is a black leaf.
 */
#include "lib/rbtree.h"

static bool is_red(const struct rb_node *node)
{
    return node && node->red;
}

static int side_of(const struct rb_node *node)
{
    return node == node->parent->child[1];
}

/* Hang node (or NULL) where old was. */
static void replace(struct rb_tree *tree, struct rb_node *old, struct rb_node *node)
{
    if (!old->parent)
        tree->root = node;
    else
        old->parent->child[side_of(old)] = node;
    if (node)
        node->parent = old->parent;
}

/* Move top down to its side s; its other child takes its place. */
static void rotate(struct rb_tree *tree, struct rb_node *top, int s)
{
    struct rb_node *up = top->child[!s];

    top->child[!s] = up->child[s];
    if (up->child[s])
        up->child[s]->parent = top;
    replace(tree, top, up);
    up->child[s] = top;
    top->parent = up;
}

void rb_insert(struct rb_tree *tree, struct rb_node *node)
{
    struct rb_node **link = &tree->root, *parent = NULL;

    while (*link) {
        parent = *link;
        link = &parent->child[node->key >= parent->key];
    }
    node->parent = parent;
    node->child[0] = node->child[1] = NULL;
    node->red = true;
    *link = node;

    /*
     * Only a red node below a red parent is wrong; a red parent is not the root, so there is a
     * grandparent.
     */
    while (is_red(node->parent)) {
        struct rb_node *grand = node->parent->parent;
        int s = side_of(node->parent);
        struct rb_node *uncle = grand->child[!s];

        if (is_red(uncle)) {
            node->parent->red = uncle->red = false;
            grand->red = true;
            node = grand;
            continue;
        }
        if (side_of(node) != s) {
            node = node->parent;
            rotate(tree, node, s);
        }
        node->parent->red = false;
        grand->red = true;
        rotate(tree, grand, !s);
    }
    tree->root->red = false;
}

/*
 * The paths through parent's side s, where node (black or NULL) hangs, have one black node too
 * few.
 */
static void repair(struct rb_tree *tree, struct rb_node *node, struct rb_node *parent)
{
    while (node != tree->root && !is_red(node)) {
        int s = node == parent->child[1];
        struct rb_node *sibling = parent->child[!s];

        if (sibling->red) {
            sibling->red = false;
            parent->red = true;
            rotate(tree, parent, s);
            sibling = parent->child[!s];
        }
        if (!is_red(sibling->child[0]) && !is_red(sibling->child[1])) {
            sibling->red = true;
            node = parent;
            parent = node->parent;
            continue;
        }
        if (!is_red(sibling->child[!s])) {
            sibling->child[s]->red = false;
            sibling->red = true;
            rotate(tree, sibling, !s);
            sibling = parent->child[!s];
        }
        sibling->red = parent->red;
        parent->red = false;
        sibling->child[!s]->red = false;
        rotate(tree, parent, s);
        node = tree->root;
    }
    if (node)
        node->red = false;
}

void rb_remove(struct rb_tree *tree, struct rb_node *node)
{
    struct rb_node *hole_parent = node->parent, *below;
    bool lost_red = node->red;

    if (node->child[0] && node->child[1]) {
        struct rb_node *next = rb_next(node); // has no smaller child

        lost_red = next->red;
        below = next->child[1];
        hole_parent = next->parent == node ? next : next->parent;
        replace(tree, next, below);
        replace(tree, node, next);
        next->red = node->red;
        for (int s = 0; s < 2; s++) {
            next->child[s] = node->child[s];
            if (next->child[s])
                next->child[s]->parent = next;
        }
    } else {
        below = node->child[node->child[0] == NULL];
        replace(tree, node, below);
    }
    if (!lost_red)
        repair(tree, below, hole_parent);
}

struct rb_node *rb_find(const struct rb_tree *tree, uint64_t key)
{
    struct rb_node *node = tree->root;

    while (node && node->key != key)
        node = node->child[key > node->key];
    return node;
}

struct rb_node *rb_floor(const struct rb_tree *tree, uint64_t key)
{
    struct rb_node *node = tree->root, *best = NULL;

    while (node) {
        bool fits = node->key <= key;

        if (fits)
            best = node;
        node = node->child[fits];
    }
    return best;
}

struct rb_node *rb_ceiling(const struct rb_tree *tree, uint64_t key)
{
    struct rb_node *node = tree->root, *best = NULL;

    while (node) {
        bool fits = node->key >= key;

        if (fits)
            best = node;
        node = node->child[!fits];
    }
    return best;
}

/* The node at the end of side s below node. */
static struct rb_node *extreme(struct rb_node *node, int s)
{
    while (node && node->child[s])
        node = node->child[s];
    return node;
}

static struct rb_node *neighbour(const struct rb_node *node, int s)
{
    if (node->child[s])
        return extreme(node->child[s], !s);
    while (node->parent && side_of(node) == s)
        node = node->parent;
    return node->parent;
}

struct rb_node *rb_first(const struct rb_tree *tree)
{
    return extreme(tree->root, 0);
}

struct rb_node *rb_last(const struct rb_tree *tree)
{
    return extreme(tree->root, 1);
}

struct rb_node *rb_next(const struct rb_node *node)
{
    return neighbour(node, 1);
}

struct rb_node *rb_prev(const struct rb_node *node)
{
    return neighbour(node, 0);
}
