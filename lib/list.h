/* SPDX-License-Identifier: MIT */
/*
 * An intrusive, circular, doubly linked list. The head is a list_node that belongs to no element.
 * An element is on at most one list for each list_node it has; the list owns nothing. A node that
 * is on no list and was initialized points to itself, so removing it twice is harmless. No
 * locking.
 */
#ifndef LIB_LIST_H
#define LIB_LIST_H

#include "lib/align.h"

struct list_node {
    struct list_node *next;
    struct list_node *prev;
};

/* The element of type T whose member M is NODE. */
#define list_entry(node, T, M) container_of(node, T, M)

/* Visit all nodes; the loop's body must not remove the present one. */
#define list_for_each(node, head) \
    for (struct list_node *node = (head)->next; node != (head); node = node->next)

/* The same where the body may remove the present node, and only that one. */
#define list_for_each_safe(node, head) \
    for (struct list_node *node = (head)->next, *node##_next = node->next; node != (head); \
         node = node##_next, node##_next = node->next)

static inline void list_init(struct list_node *node)
{
    node->next = node;
    node->prev = node;
}

static inline bool list_is_empty(const struct list_node *head)
{
    return head->next == head;
}

/* Is this node, which was initialized, on a list? */
static inline bool list_is_linked(const struct list_node *node)
{
    return node->next != node;
}

static inline void list_insert_after(struct list_node *position, struct list_node *node)
{
    node->prev = position;
    node->next = position->next;
    position->next->prev = node;
    position->next = node;
}

static inline void list_push_front(struct list_node *head, struct list_node *node)
{
    list_insert_after(head, node);
}

static inline void list_push_back(struct list_node *head, struct list_node *node)
{
    list_insert_after(head->prev, node);
}

static inline void list_remove(struct list_node *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

/* The first node, or NULL. */
static inline struct list_node *list_first(const struct list_node *head)
{
    return list_is_empty(head) ? NULL : head->next;
}

/* Take the first node off the list, or NULL. */
static inline struct list_node *list_pop_front(struct list_node *head)
{
    struct list_node *node = list_first(head);

    if (node)
        list_remove(node);
    return node;
}

#endif
