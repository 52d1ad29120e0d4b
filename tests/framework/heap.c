/* SPDX-License-Identifier: MIT */
/* The heap over fake dataspaces: random allocations keep their contents, their alignment and apart from each other. */
#include "framework/memory.h"
#include "framework/slots.h"
#include "tests/unit/random.h"
#include "tests/unit/tap.h"

#include <stdlib.h>
#include <string.h>

#define BLOCKS 200u

static uint64_t area_left;

enum status memory_alloc(struct mapping *memory, uint64_t size, uint64_t align)
{
    if (size > area_left)
        return STATUS_QUOTA;
    area_left -= size;
    memory->address = aligned_alloc(align, size);
    memory->size = size;
    if (!memory->address)
        return STATUS_QUOTA;
    memset(memory->address, 0, size);
    return STATUS_OK;
}

uint32_t slots_alloc(uint32_t count)
{
    return count;
}

struct held {
    uint8_t *data;
    size_t   size;
    uint8_t  mark;
};

static bool intact(const struct held *h)
{
    for (size_t i = 0; i < h->size; i++)
        if (h->data[i] != h->mark)
            return false;
    return true;
}

int main(void)
{
    static struct held held[BLOCKS];
    uint64_t random = 7;
    unsigned rounds = 0, refused = 0;
    bool good = true;

    area_left = 1 << 20;
    for (; rounds < 100000 && good; rounds++) {
        struct held *h = &held[random_below(&random, BLOCKS)];

        if (h->data) {
            good = intact(h);
            heap_free(h->data);
            h->data = NULL;
            continue;
        }
        size_t align = 1ull << random_below(&random, 13);

        h->size = random_below(&random, random_below(&random, 10) ? 500 : 60000);
        h->mark = (uint8_t)rounds;
        h->data = heap_alloc_aligned(h->size, align);
        if (!h->data) {
            refused++;
            continue;
        }
        good = (uint64_t)h->data % align == 0 && (uint64_t)h->data % 16 == 0;
        memset(h->data, h->mark, h->size);
    }
    ok(good, "100000 random allocations (%u refused; stopped at %u)", refused, rounds);
    ok(refused > 0 && refused < rounds / 2, "the bound of the memory was reached");
    for (unsigned i = 0; i < BLOCKS; i++)
        heap_free(held[i].data);
    ok(heap_alloc(1ull << 40) == NULL && heap_alloc_aligned(1, 3) == NULL && heap_alloc_aligned(1, 8192) == NULL,
       "impossible requests are refused");
    heap_free(NULL);
    return tap_done();
}
