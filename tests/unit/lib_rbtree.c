/* SPDX-License-Identifier: MIT */
/*
 * lib/rbtree.h against a sorted array under random insertions and removals, with the tree's own
 * rules checked.
 */
#include "lib/rbtree.h"

#include <string.h>

#include "tests/unit/random.h"
#include "tests/unit/tap.h"

enum {
    NODES = 200,
    ROUNDS = 30000
};

struct model {
    struct rb_tree tree;
    struct rb_node nodes[NODES];
    bool inserted[NODES];
    struct rb_node *sorted[NODES]; // equal keys in the order of insertion
    size_t count;
};

/*
 * The black height below node, or -1 if a rule is broken: no red child of a red node, equal black
 * heights, sound links.
 */
static int black_height(const struct rb_node *node)
{
    int heights[2];

    if (!node)
        return 0;
    for (int s = 0; s < 2; s++) {
        const struct rb_node *child = node->child[s];

        if (child && (child->parent != node || (node->red && child->red)))
            return -1;
        heights[s] = black_height(child);
    }
    return heights[0] < 0 || heights[0] != heights[1] ? -1 : heights[0] + !node->red;
}

static void model_insert(struct model *m, struct rb_node *node)
{
    size_t at = m->count++;

    for (; at > 0 && m->sorted[at - 1]->key > node->key; at--)
        m->sorted[at] = m->sorted[at - 1];
    m->sorted[at] = node;
}

static void model_remove(struct model *m, const struct rb_node *node)
{
    size_t at = 0;

    while (m->sorted[at] != node)
        at++;
    m->count--;
    memmove(m->sorted + at, m->sorted + at + 1, (m->count - at) * sizeof(m->sorted[0]));
}

static bool order_agrees(struct model *m)
{
    size_t i = 0;

    rb_for_each(node, &m->tree) {
        if (i == m->count || node != m->sorted[i] || rb_prev(node) != (i ? m->sorted[i - 1] : NULL))
            return false;
        i++;
    }
    return i == m->count && rb_last(&m->tree) == (m->count ? m->sorted[m->count - 1] : NULL);
}

static bool searches_agree(struct model *m, uint64_t key)
{
    struct rb_node *floor = NULL, *ceiling = NULL, *found = rb_find(&m->tree, key);
    bool exists = false;

    for (size_t i = 0; i < m->count; i++) {
        if (m->sorted[i]->key <= key)
            floor = m->sorted[i];
        if (m->sorted[i]->key >= key && !ceiling)
            ceiling = m->sorted[i];
        exists |= m->sorted[i]->key == key;
    }
    return rb_floor(&m->tree, key) == floor && rb_ceiling(&m->tree, key) == ceiling &&
           (found ? found->key == key : !exists);
}

static bool step(struct model *m, uint64_t *seed, uint64_t keys)
{
    size_t index = random_below(seed, NODES);
    struct rb_node *node = &m->nodes[index];

    if (m->inserted[index]) {
        rb_remove(&m->tree, node);
        model_remove(m, node);
    } else {
        node->key = random_below(seed, keys);
        rb_insert(&m->tree, node);
        model_insert(m, node);
    }
    m->inserted[index] = !m->inserted[index];
    return black_height(m->tree.root) >= 0 && !(m->tree.root && m->tree.root->red) &&
           order_agrees(m) && searches_agree(m, random_below(seed, keys + 2));
}

int main(void)
{
    static const uint64_t key_counts[] = { 1, 50, 1000, UINT64_MAX - 2 };

    for (size_t i = 0; i < ARRAY_SIZE(key_counts); i++) {
        struct model model = { 0 };
        uint64_t seed = 4 + i;
        unsigned agreed = 0;

        for (unsigned round = 0; round < ROUNDS; round++)
            agreed += step(&model, &seed, key_counts[i]);
        ok(agreed == ROUNDS, "%d random steps with %lu keys", ROUNDS, key_counts[i]);
        while (model.count > 0) {
            rb_remove(&model.tree, model.sorted[0]);
            model_remove(&model, model.sorted[0]);
        }
        ok(model.tree.root == NULL, "empty after all were removed");
    }
    return tap_done();
}
