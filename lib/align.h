/* SPDX-License-Identifier: MIT */
/*
 * Small arithmetic and layout macros. Alignments are powers of two. Every macro yields the type
 * of its operands after the usual conversions; ALIGN_UP wraps when the result does not fit, so
 * bound a hostile value first.
 */
#ifndef LIB_ALIGN_H
#define LIB_ALIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BIT(n)                 (1ull << (n))
#define ALIGN_DOWN(x, a)       ((x) & ~((__typeof__(x))(a) - 1))
#define ALIGN_UP(x, a)         ALIGN_DOWN((x) + ((__typeof__(x))(a) - 1), a)
#define IS_ALIGNED(x, a)       (((x) & ((__typeof__(x))(a) - 1)) == 0)
#define MIN(a, b)              ((a) < (b) ? (a) : (b))
#define MAX(a, b)              ((a) > (b) ? (a) : (b))
#define ARRAY_SIZE(array)      (sizeof(array) / sizeof((array)[0]))
#define container_of(p, t, m)  ((t *)(void *)((char *)(p) - offsetof(t, m)))

static inline bool is_power_of_two(uint64_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

/* Index of the highest bit set; value must not be 0. */
static inline unsigned log2_floor(uint64_t value)
{
    return 63u - (unsigned)__builtin_clzll(value);
}

/* Is [offset, offset + size) inside [0, limit)? Safe for any values: nothing is added. */
static inline bool range_fits(uint64_t offset, uint64_t size, uint64_t limit)
{
    return offset <= limit && size <= limit - offset;
}

#endif
