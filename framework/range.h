/* SPDX-License-Identifier: MIT */
/*
 * Free ranges of a 64-bit address space: core's physical memory, a component's virtual addresses. Ranges are kept in ascending order and
 * merged; an allocation takes from the smallest range that fits. The nodes are the caller's array; an operation that would need
 * more of them fails and changes nothing. No locking. Linear in the number of free ranges.
 */
#ifndef FRAMEWORK_RANGE_H
#define FRAMEWORK_RANGE_H

#include "framework/status.h"

#include <stdbool.h>
#include <stddef.h>

struct range_node {
    uint64_t base;
    uint64_t size; // 0: the node is unused
    struct range_node *next;
};

struct range_set {
    struct range_node *first;  // ascending
    struct range_node *unused;
    uint64_t free;             // sum of all sizes
};

void range_init(struct range_set *set, struct range_node *nodes, size_t count);

/* Give a range to the set. INVALID: empty, wraps, or part of it is free already. QUOTA: no node left. */
enum status range_add(struct range_set *set, uint64_t base, uint64_t size) MUST_CHECK;

/*
 * Take size bytes at a multiple of align (a power of two) that end at or below limit. NOT_FOUND: no such range.
 * QUOTA: no node left for what the cut leaves over.
 */
enum status range_take(struct range_set *set, uint64_t size, uint64_t align, uint64_t limit, uint64_t *base) MUST_CHECK;

/* Take exactly this range. NOT_FOUND: not all of it is free. */
enum status range_take_at(struct range_set *set, uint64_t base, uint64_t size) MUST_CHECK;

#endif
