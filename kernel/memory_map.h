/* SPDX-License-Identifier: MIT */
/*
 * The list of physical memory ranges in the information page while it is being made. Pure: no access to memory described.
 *
 * FREE ranges are whole pages, disjoint from each other and from every other range but MODULE strings. The firmware's map may overlap itself: what any
 * entry says is not RAM is not FREE. If the list is full, FREE memory is dropped, never a range that takes memory away.
 */
#ifndef KERNEL_MEMORY_MAP_H
#define KERNEL_MEMORY_MAP_H

#include "abi/info.h"

#include <stdbool.h>
#include <stdint.h>

#define MEMORY_MAP_MAX (sizeof(((struct abi_info *)0)->range) / sizeof(struct abi_memory_range))
/* No FREE range above this: 48-bit physical addresses are what page tables here hold comfortably. */
#define MEMORY_MAP_END (1ull << 46)

/* Adds RAM, less what is FREE already. Call before any carving. */
void memory_map_add_free(struct abi_info *info, uint64_t base, uint64_t size);

/* Takes all pages that the range touches out of FREE and lists the range. False if the list has no room for it (FREE is cut all the same). */
bool memory_map_carve(struct abi_info *info, uint64_t base, uint64_t size, enum abi_memory type);

/* Takes the last `size` bytes, aligned, below `limit` from FREE and lists them. 0 if there are none. */
uint64_t memory_map_take(struct abi_info *info, uint64_t size, uint64_t align, uint64_t limit, enum abi_memory type);

uint64_t memory_map_free_bytes(const struct abi_info *info);

/* By base, ascending. */
void memory_map_sort(struct abi_info *info);

#endif
