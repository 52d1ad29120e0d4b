/* SPDX-License-Identifier: MIT */
/* Bitmaps: searches go word by word. */
#include "lib/bitmap.h"

/* The bits of word `word` that lie in [first, first + count), which is not empty there. */
static uint64_t word_mask(size_t word, size_t first, size_t count)
{
    size_t low = MAX(first, word * 64) - word * 64;
    size_t high = MIN(first + count, word * 64 + 64) - word * 64;

    return ~0ull << low & ~0ull >> (64 - high);
}

void bitmap_set_range(uint64_t *map, size_t first, size_t count)
{
    for (size_t word = first / 64; word * 64 < first + count; word++)
        map[word] |= word_mask(word, first, count);
}

void bitmap_clear_range(uint64_t *map, size_t first, size_t count)
{
    for (size_t word = first / 64; word * 64 < first + count; word++)
        map[word] &= ~word_mask(word, first, count);
}

/* Find a set bit after each word was XORed with `flip`. */
static size_t find(const uint64_t *map, size_t bits, size_t from, uint64_t flip)
{
    if (from >= bits)
        return BITMAP_NONE;
    for (size_t word = from / 64; word < BITMAP_WORDS(bits); word++) {
        uint64_t candidates = map[word] ^ flip;

        if (word == from / 64)
            candidates &= ~0ull << from % 64;
        if (candidates) {
            size_t bit = word * 64 + (size_t)__builtin_ctzll(candidates);

            return bit < bits ? bit : BITMAP_NONE;
        }
    }
    return BITMAP_NONE;
}

size_t bitmap_find_set(const uint64_t *map, size_t bits, size_t from)
{
    return find(map, bits, from, 0);
}

size_t bitmap_find_clear(const uint64_t *map, size_t bits, size_t from)
{
    return find(map, bits, from, ~0ull);
}

size_t bitmap_find_clear_range(const uint64_t *map, size_t bits, size_t count, size_t align)
{
    size_t start = 0;

    while (range_fits(start, count, bits)) {
        size_t clear = bitmap_find_clear(map, bits, start);
        size_t set;

        if (clear == BITMAP_NONE)
            break;
        start = ALIGN_UP(clear, align);
        if (!range_fits(start, count, bits))
            break;
        set = bitmap_find_set(map, start + count, start);
        if (set == BITMAP_NONE)
            return start;
        start = set + 1;
    }
    return BITMAP_NONE;
}

size_t bitmap_count(const uint64_t *map, size_t bits)
{
    size_t count = 0;

    for (size_t word = 0; word < BITMAP_WORDS(bits); word++) {
        uint64_t value = map[word];

        if (bits - word * 64 < 64)
            value &= BIT(bits - word * 64) - 1;
        count += (size_t)__builtin_popcountll(value);
    }
    return count;
}
