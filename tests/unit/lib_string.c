/* SPDX-License-Identifier: MIT */
/*
 * lib/memory.c and lib/string.c against the C library. They are compiled in here under other names, since a
 * program on Linux already has functions of these names.
 */
#include <stdint.h>
#include <string.h>

#include "tests/unit/random.h"
#include "tests/unit/tap.h"

#define memcpy  graft_memcpy
#define memmove graft_memmove
#define memset  graft_memset
#define memcmp  graft_memcmp
#define strlen  graft_strlen
#define strnlen graft_strnlen
#define strcmp  graft_strcmp
#define strncmp graft_strncmp
#define strchr  graft_strchr
#include "lib/memory.c"
#include "lib/string.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef strlen
#undef strnlen
#undef strcmp
#undef strncmp
#undef strchr

enum {
    SIZE = 96,
    ROUNDS = 20000
};

static int sign(int value)
{
    return (value > 0) - (value < 0);
}

static void fill(uint64_t *seed, char *buffer, char *twin)
{
    for (size_t i = 0; i < SIZE; i++)
        buffer[i] = twin[i] = (char)random_u64(seed);
}

static bool copies_agree(uint64_t *seed)
{
    char a[SIZE], b[SIZE], source[SIZE];
    size_t from = random_below(seed, SIZE), to = random_below(seed, SIZE);
    size_t size = random_below(seed, SIZE - (from > to ? from : to) + 1);
    int byte = (int)random_u64(seed);
    bool returned;

    fill(seed, a, b);
    returned = graft_memmove(a + to, a + from, size) == a + to;
    memmove(b + to, b + from, size);
    if (!returned || memcmp(a, b, SIZE) != 0)
        return false;
    memcpy(source, b, SIZE);
    returned = graft_memcpy(a + to, source + from, size) == a + to;
    memcpy(b + to, source + from, size);
    if (!returned || memcmp(a, b, SIZE) != 0)
        return false;
    returned = graft_memset(a + to, byte, size) == a + to;
    memset(b + to, byte, size);
    return returned && memcmp(a, b, SIZE) == 0;
}

static bool comparisons_agree(uint64_t *seed)
{
    char a[SIZE], b[SIZE];
    size_t size = random_below(seed, SIZE), change = random_below(seed, SIZE);

    for (size_t i = 0; i < SIZE; i++)
        a[i] = b[i] = (char)(1 + random_below(seed, 255));
    a[SIZE - 1] = b[SIZE - 1] = 0;
    if (random_below(seed, 4))
        a[change] = (char)random_u64(seed);
    a[SIZE - 1] = 0;
    return sign(graft_memcmp(a, b, size)) == sign(memcmp(a, b, size)) &&
           sign(graft_strcmp(a, b)) == sign(strcmp(a, b)) &&
           sign(graft_strncmp(a, b, size)) == sign(strncmp(a, b, size)) &&
           graft_strlen(a) == strlen(a) && graft_strnlen(a, size) == strnlen(a, size) &&
           graft_strchr(a, b[change]) == strchr(a, b[change]);
}

int main(void)
{
    uint64_t seed = 1;
    unsigned copies = 0, comparisons = 0;

    for (unsigned i = 0; i < ROUNDS; i++) {
        copies += copies_agree(&seed);
        comparisons += comparisons_agree(&seed);
    }
    is_u64(copies, ROUNDS, "memcpy, memmove and memset do what the C library's do");
    is_u64(comparisons, ROUNDS, "the comparisons and searches too");
    ok(graft_strchr("abc", 0) != NULL && graft_strchr("abc", 'd') == NULL,
       "strchr finds the terminator and nothing else");
    return tap_done();
}
