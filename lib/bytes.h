/* SPDX-License-Identifier: MIT */
/*
 * Copies and fills that use general registers only, for code that runs while a guest's vector
 * registers are in the processor: a C library's memcpy() and memset() use those.
 */
#ifndef LIB_BYTES_H
#define LIB_BYTES_H

#include <stddef.h>
#include <stdint.h>

/* The ranges must not overlap. */
static inline void bytes_copy(void *to, const void *from, size_t size)
{
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
}

/* `count` words. */
static inline void bytes_fill(uint64_t *to, uint64_t value, size_t count)
{
    __asm__ volatile("rep stosq" : "+D"(to), "+c"(count) : "a"(value) : "memory");
}

static inline void bytes_zero(void *to, size_t size)
{
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(0) : "memory");
}

#endif
