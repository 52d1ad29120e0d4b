/* SPDX-License-Identifier: MIT */
/*
 * A bitmap: an array of 64-bit words that the caller owns, bit n in word n / 64. All indexes and
 * counts are in bits and must lie inside the bitmap; a search takes the number of bits there are.
 * No locking.
 */
#ifndef LIB_BITMAP_H
#define LIB_BITMAP_H

#include "lib/align.h"

#define BITMAP_NONE SIZE_MAX

/* Number of words for a bitmap of so many bits. */
#define BITMAP_WORDS(bits) (((bits) + 63) / 64)

static inline bool bitmap_test(const uint64_t *map, size_t bit)
{
    return map[bit / 64] >> bit % 64 & 1;
}

static inline void bitmap_set(uint64_t *map, size_t bit)
{
    map[bit / 64] |= BIT(bit % 64);
}

static inline void bitmap_clear(uint64_t *map, size_t bit)
{
    map[bit / 64] &= ~BIT(bit % 64);
}

void bitmap_set_range(uint64_t *map, size_t first, size_t count);
void bitmap_clear_range(uint64_t *map, size_t first, size_t count);

/*
 * The first bit at or after `from` that is set or clear; BITMAP_NONE if there is none below
 * `bits`.
 */
size_t bitmap_find_set(const uint64_t *map, size_t bits, size_t from);
size_t bitmap_find_clear(const uint64_t *map, size_t bits, size_t from);

/*
 * The first of `count` clear bits in a row at a multiple of `align` (a power of two), or
 * BITMAP_NONE. count > 0.
 */
size_t bitmap_find_clear_range(const uint64_t *map, size_t bits, size_t count, size_t align);

/* Number of set bits below `bits`. */
size_t bitmap_count(const uint64_t *map, size_t bits);

#endif
