/* SPDX-License-Identifier: MIT */
/* Rows that move, walk and index memory. */
#include "peers.h"
#include "sys.h"

#include <emmintrin.h>

#define SIEVE_BYTES 1000000

static uint64_t run_sieve(void *memory)
{
    uint8_t *composite = memory;
    unsigned primes = 0;

    for (unsigned i = 0; i < SIEVE_BYTES / 8; i++)
        ((uint64_t *)memory)[i] = 0;
    for (unsigned i = 2; i < SIEVE_BYTES; i++) {
        if (composite[i])
            continue;
        primes++;
        for (unsigned j = i * 2; j < SIEVE_BYTES; j += i)
            composite[j] = 1;
    }
    return primes;
}

/*
 * A ring through all lines of 64 bytes, in the order of a linear congruential generator of full period: the distance between
 * two successors is never the same.
 */
static void make_ring(void *memory, unsigned lines)
{
    for (unsigned i = 0; i < lines; i++) {
        unsigned next = (i * 1664525u + 1013904223u) % lines;
        ((void **)memory)[8 * i] = (uint8_t *)memory + 64 * (size_t)next;
    }
}

static uint64_t walk_ring(void *memory, unsigned steps)
{
    void **at = memory;
    uint64_t sum = 0;

    for (unsigned i = 0; i < steps; i++) {
        at = *at;
        sum += (uint64_t)((uint8_t *)at - (uint8_t *)memory);
    }
    return at == memory ? sum : ROW_FAILED;
}

#define SMALL_RING (256u * 1024 / 64)
#define LARGE_RING (64u * 1024 * 1024 / 64)

static void prepare_small_ring(void *memory)
{
    make_ring(memory, SMALL_RING);
}

static uint64_t run_small_ring(void *memory)
{
    return walk_ring(memory, 16 * SMALL_RING);
}

static void prepare_large_ring(void *memory)
{
    make_ring(memory, LARGE_RING);
}

static uint64_t run_large_ring(void *memory)
{
    return walk_ring(memory, LARGE_RING);
}

#define COPY_BYTES (256 * 1024)

static void prepare_copy(void *memory)
{
    uint64_t state = 3;

    for (unsigned i = 0; i < COPY_BYTES / 8; i++)
        ((uint64_t *)memory)[i] = random_next(&state);
}

/* A few words of the copy, which begins with the source's byte at `offset`. */
static uint64_t sample(const uint8_t *copy)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i + 8 <= COPY_BYTES - 4096; i += 4088)
        sum = sum * 3 + *(const uint64_t *)(copy + i);
    return sum;
}

ROW_CALL static void copy_vectors(uint8_t *to, const uint8_t *from, size_t size)
{
    for (size_t i = 0; i < size; i += 64) {
        __m128i a = _mm_loadu_si128((const __m128i *)(from + i)), b = _mm_loadu_si128((const __m128i *)(from + i + 16));
        __m128i c = _mm_loadu_si128((const __m128i *)(from + i + 32)), d = _mm_loadu_si128((const __m128i *)(from + i + 48));
        _mm_store_si128((__m128i *)(to + i), a);
        _mm_store_si128((__m128i *)(to + i + 16), b);
        _mm_store_si128((__m128i *)(to + i + 32), c);
        _mm_store_si128((__m128i *)(to + i + 48), d);
    }
}

static uint64_t run_copy(void *memory)
{
    uint8_t *from = memory, *to = from + COPY_BYTES;
    uint64_t sum = 0;

    for (unsigned offset = 0; offset < 16; offset++) {
        copy_vectors(to, from + offset, COPY_BYTES - 4096);
        sum += sample(to);
    }
    return sum;
}

static void rep_movsb(uint8_t *to, const uint8_t *from, size_t size)
{
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
}

static uint64_t run_rep_movsb(void *memory)
{
    uint8_t *from = memory, *to = from + COPY_BYTES;
    uint64_t sum = 0;

    for (unsigned offset = 0; offset < 16; offset++) {
        rep_movsb(to, from + offset, COPY_BYTES - 4096);
        sum += sample(to);
    }
    return sum;
}

/* Many short string instructions: 16 to 143 bytes, and up to 15 words set. */
static uint64_t run_rep_short(void *memory)
{
    uint8_t *from = memory, *to = from + COPY_BYTES;
    uint64_t state = 8, sum = 0;

    for (unsigned i = 0; i < 10000; i++) {
        uint64_t random = random_next(&state);
        uint8_t *at = to + (random & 0xffff);
        uint8_t *end = at + 144;
        size_t words = random >> 24 & 15;
        rep_movsb(at, from + (random >> 40 & 0xffff), 16 + (random >> 16 & 127));
        __asm__ volatile("rep stosq" : "+D"(end), "+c"(words) : "a"(random) : "memory");
        sum += *(uint64_t *)(void *)(at + 3) >> 7;
    }
    return sum;
}

#define SUM_BYTES (256 * 1024)

static void prepare_sum(void *memory)
{
    for (unsigned i = 0; i < SUM_BYTES / 4; i++)
        ((uint32_t *)memory)[i] = i * 2654435761u;
}

ROW_CALL static uint64_t sum_words(const uint32_t *words)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < SUM_BYTES / 4; i++)
        sum += words[i];
    return sum;
}

static uint64_t run_sum(void *memory)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < 16; i++)
        sum = sum * 5 + sum_words(memory);
    return sum;
}

/* A hash table with open addressing, 8 MiB, 300,000 keys. */
#define SLOTS 524288u

struct slot {
    uint64_t key, value;
};

static struct slot *find(struct slot *table, uint64_t key)
{
    uint64_t i = key * 0x9e3779b97f4a7c15u >> 45;

    while (table[i].key && table[i].key != key)
        i = (i + 1) % SLOTS;
    return &table[i];
}

static void prepare_hash(void *memory)
{
    for (uint64_t key = 1; key <= 300000; key++) {
        struct slot *slot = find(memory, key * 3);
        slot->key = key * 3;
        slot->value = key;
    }
}

/* A third of the keys is there. */
static uint64_t run_hash(void *memory)
{
    uint64_t state = 12, sum = 0;

    for (unsigned i = 0; i < 100000; i++) {
        struct slot *slot = find(memory, random_next(&state) % 900000 + 1);
        if (slot->key) {
            slot->value++;
            sum += slot->key ^ i;
        }
    }
    return sum;
}

/* A binary tree without balance, of random keys. */
#define TREE_NODES 8000u

struct node {
    struct node *child[2];
    uint64_t key;
};

static struct node **place(struct node **at, uint64_t key)
{
    while (*at && (*at)->key != key)
        at = &(*at)->child[key > (*at)->key];
    return at;
}

static uint64_t run_tree(void *memory)
{
    struct node *nodes = memory, *root = NULL;
    uint64_t state = 4, found = 0, used = 0;

    while (used < TREE_NODES) {
        uint64_t key = random_next(&state) % 40000;
        struct node **at = place(&root, key);
        if (!*at) {
            nodes[used] = (struct node){{NULL, NULL}, key};
            *at = &nodes[used++];
        }
    }
    for (uint64_t key = 0; key < 40000; key += 3)
        found = found * 3 + (*place(&root, key) != NULL);
    return found;
}

const struct row memory_rows[] = {
    {"sieve", 20, 1, 78498, run_sieve, SIEVE_BYTES, NULL},
    {"chase_256k", 150, 1, 0x1ffe00000, run_small_ring, SMALL_RING * 64, prepare_small_ring},
    {"chase_64m", 2, 1, 0x1ffffe000000, run_large_ring, (size_t)LARGE_RING * 64, prepare_large_ring},
    {"memcpy", 300, 1, 0x971b4f7940ef6b6a, run_copy, 2 * COPY_BYTES, prepare_copy},
    {"rep_movsb", 300, 1, 0x971b4f7940ef6b6a, run_rep_movsb, 2 * COPY_BYTES, prepare_copy},
    {"rep_short", 150, 1, 0x1bab72ba2cf83c6a, run_rep_short, 2 * COPY_BYTES, prepare_copy},
    {"sum", 300, 1, 0x318ce371df880000, run_sum, SUM_BYTES, prepare_sum},
    {"hash", 20, 1, 0x3867d4eb0, run_hash, SLOTS * sizeof(struct slot), prepare_hash},
    {"tree", 30, 1, 0x8d51069725e246d4, run_tree, TREE_NODES * sizeof(struct node), NULL},
    {0},
};
