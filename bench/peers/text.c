/* SPDX-License-Identifier: MIT */
/* Rows of work on bytes: SHA-256 (FIPS 180-4), sorting, compression, searching. */
#include "peers.h"
#include "sys.h"

#include <emmintrin.h>

static const uint32_t sha_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static inline uint32_t rotate(uint32_t x, unsigned n)
{
    return x >> n | x << (32 - n);
}

static void sha_block(uint32_t *h, const uint8_t *block)
{
    uint32_t w[64], s[8];

    for (unsigned i = 0; i < 16; i++)
        w[i] = __builtin_bswap32(((const uint32_t *)(const void *)block)[i]);
    for (unsigned i = 16; i < 64; i++)
        w[i] = w[i - 16] + w[i - 7] + (rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3) +
               (rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10);
    for (unsigned i = 0; i < 8; i++)
        s[i] = h[i];
    for (unsigned i = 0; i < 64; i++) {
        uint32_t one = s[7] + (rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25)) + ((s[4] & s[5]) ^ (~s[4] & s[6])) +
                       sha_constants[i] + w[i];
        uint32_t two = (rotate(s[0], 2) ^ rotate(s[0], 13) ^ rotate(s[0], 22)) + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
        s[7] = s[6];
        s[6] = s[5];
        s[5] = s[4];
        s[4] = s[3] + one;
        s[3] = s[2];
        s[2] = s[1];
        s[1] = s[0];
        s[0] = one + two;
    }
    for (unsigned i = 0; i < 8; i++)
        h[i] += s[i];
}

#define SHA_BYTES 65536

static void prepare_sha(void *memory)
{
    for (unsigned i = 0; i < SHA_BYTES; i++)
        ((uint8_t *)memory)[i] = (uint8_t)('a' + i % 26);
}

/* The digest's first eight bytes. */
static uint64_t run_sha(void *memory)
{
    uint32_t h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    uint8_t last[64] = {0x80};

    for (unsigned i = 0; i < SHA_BYTES; i += 64)
        sha_block(h, (uint8_t *)memory + i);
    last[61] = SHA_BYTES * 8 >> 16;
    sha_block(h, last);
    return (uint64_t)h[0] << 32 | h[1];
}

#define SORT_ITEMS 10000

static int ascending(const uint64_t *a, const uint64_t *b)
{
    return *a < *b ? -1 : *a > *b;
}

ROW_CALL static void sort(uint64_t *items, long low, long high, int (*compare)(const uint64_t *, const uint64_t *))
{
    while (low < high) {
        uint64_t pivot = items[low + (high - low) / 2];
        long i = low, j = high;
        while (i <= j) {
            while (compare(&items[i], &pivot) < 0)
                i++;
            while (compare(&items[j], &pivot) > 0)
                j--;
            if (i <= j) {
                uint64_t swap = items[i];
                items[i++] = items[j];
                items[j--] = swap;
            }
        }
        sort(items, low, j, compare);
        low = i;
    }
}

static uint64_t run_sort(void *memory)
{
    uint64_t *items = memory, state = 6, sum = 0;

    for (unsigned i = 0; i < SORT_ITEMS; i++)
        items[i] = random_next(&state);
    sort(items, 0, SORT_ITEMS - 1, ascending);
    for (unsigned i = 0; i < SORT_ITEMS; i++) {
        if (i && items[i - 1] > items[i])
            return ROW_FAILED;
        sum = sum * 3 + items[i];
    }
    return sum;
}

#define TEXT_BYTES 65536

/* Words of a small vocabulary, so that there is something to find again. */
static void prepare_text(void *memory)
{
    uint8_t *text = memory;
    uint64_t state = 21;

    for (unsigned i = 0; i < TEXT_BYTES;) {
        uint64_t word = random_next(&state) >> 20;
        uint64_t letters = word % 300 * 0x9e3779b97f4a7c15u;
        for (unsigned n = 2 + word % 300 % 7; n && i < TEXT_BYTES; n--, letters >>= 5)
            text[i++] = (uint8_t)('a' + letters % 26);
        if (i < TEXT_BYTES)
            text[i++] = ' ';
    }
}

/* Each item is a byte that says "literal" (0) or the length of a match, and then the byte or the distance in two bytes. */
static unsigned compress(const uint8_t *from, uint8_t *to, uint16_t *heads)
{
    unsigned used = 0;

    for (unsigned i = 0; i < 4096; i++)
        heads[i] = 0;
    for (unsigned at = 0; at < TEXT_BYTES;) {
        unsigned length = 0, before = 0;
        if (at + 4 <= TEXT_BYTES) {
            uint32_t head = *(const uint32_t *)(const void *)(from + at) * 2654435761u >> 20;
            before = heads[head];
            heads[head] = (uint16_t)at;
            while (before < at && length < 255 && at + length < TEXT_BYTES && from[before + length] == from[at + length])
                length++;
        }
        if (length < 4) {
            to[used++] = 0;
            to[used++] = from[at++];
            continue;
        }
        to[used++] = (uint8_t)length;
        to[used++] = (uint8_t)((at - before) & 0xff);
        to[used++] = (uint8_t)((at - before) >> 8);
        at += length;
    }
    return used;
}

static unsigned expand(const uint8_t *from, unsigned size, uint8_t *to)
{
    unsigned used = 0;

    for (unsigned at = 0; at < size;) {
        unsigned length = from[at++];
        if (length == 0) {
            to[used++] = from[at++];
            continue;
        }
        unsigned distance = from[at] | (unsigned)from[at + 1] << 8;
        at += 2;
        for (; length; length--, used++)
            to[used] = to[used - distance];
    }
    return used;
}

static uint64_t run_lz(void *memory)
{
    uint8_t *text = memory, *packed = text + TEXT_BYTES, *again = packed + 2 * TEXT_BYTES;
    unsigned size = compress(text, packed, (uint16_t *)(void *)(again + TEXT_BYTES));

    if (expand(packed, size, again) != TEXT_BYTES)
        return ROW_FAILED;
    for (unsigned i = 0; i < TEXT_BYTES; i++)
        if (text[i] != again[i])
            return ROW_FAILED;
    return size;
}

/* Horspool's search for some words, and a plain one for two letters. */
static unsigned search(const uint8_t *text, const uint8_t *word, unsigned length, uint8_t *skip)
{
    unsigned found = 0;

    for (unsigned i = 0; i < 256; i++)
        skip[i] = (uint8_t)length;
    for (unsigned i = 0; i + 1 < length; i++)
        skip[word[i]] = (uint8_t)(length - 1 - i);
    for (unsigned at = 0; at + length <= TEXT_BYTES; at += skip[text[at + length - 1]]) {
        unsigned i = length;
        while (i && text[at + i - 1] == word[i - 1])
            i--;
        found += i == 0;
    }
    return found;
}

static uint64_t run_search(void *memory)
{
    uint8_t *text = memory, *skip = text + 4 * TEXT_BYTES;
    uint64_t found = 0;

    for (unsigned i = 0; i < 20; i++)
        found = found * 7 + search(text, text + i * 3001, 2 + i % 6, skip);
    return found;
}

/* How far it is to each of the next 16 lines' ends in turn, sixteen bytes at a time. */
static uint64_t run_scan(void *memory)
{
    const uint8_t *text = memory;
    uint64_t sum = 0;

    for (unsigned letter = 'a'; letter <= 'z'; letter++) {
        __m128i wanted = _mm_set1_epi8((char)letter);
        for (unsigned i = 0; i < TEXT_BYTES; i += 16) {
            __m128i bytes = _mm_load_si128((const __m128i *)(const void *)(text + i));
            unsigned hits = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, wanted));
            if (hits)
                sum += i + (unsigned)__builtin_ctz(hits);
        }
    }
    return sum;
}

const struct row text_rows[] = {
    {"sha256", 150, 1, 0x62b3a2ef06cf9776, run_sha, SHA_BYTES, prepare_sha},
    {"qsort", 60, 1, 0x77577bc4b46287a8, run_sort, SORT_ITEMS * 8, NULL},
    {"lz", 120, 1, 38380, run_lz, 5 * TEXT_BYTES, prepare_text},
    {"search", 30, 1, 0x1fa593867a09da2f, run_search, 5 * TEXT_BYTES, prepare_text},
    {"scan", 80, 1, 1425149177, run_scan, 5 * TEXT_BYTES, prepare_text},
    {0},
};
