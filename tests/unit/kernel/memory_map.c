/* SPDX-License-Identifier: MIT */
/* The boot memory map: fixed cases, then random maps against a model with one entry a page. */
#include "kernel/memory_map.h"
#include "tests/unit/tap.h"

#include <stdlib.h>
#include <string.h>

#define PAGES 256u
#define PAGE  4096ull

/* Ground truth: which pages are FREE. */
struct model {
    bool free[PAGES];
};

static uint64_t random_below(uint64_t *seed, uint64_t bound)
{
    *seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
    return (*seed >> 33) % bound;
}

static bool matches(const struct abi_info *info, const struct model *m)
{
    static unsigned char seen[PAGES];
    memset(seen, 0, sizeof(seen));
    for (unsigned i = 0; i < info->range_count; i++) {
        const struct abi_memory_range *r = &info->range[i];
        if (r->type != ABI_MEMORY_FREE)
            continue;
        if (r->base % PAGE || r->size % PAGE || !r->size)
            return false;
        for (uint64_t p = r->base / PAGE; p < (r->base + r->size) / PAGE; p++)
            if (p >= PAGES || seen[p]++)
                return false;
    }
    for (unsigned p = 0; p < PAGES; p++)
        if (seen[p] != m->free[p])
            return false;
    return true;
}

static void test_random(void)
{
    bool good = true, taken_good = true;
    for (uint64_t round = 0, seed = 1; round < 2000; round++) {
        static struct abi_info info;
        struct model m = {{0}};
        memset(&info, 0, sizeof(info));
        for (unsigned k = 0; k < 6; k++) {
            uint64_t base = random_below(&seed, PAGES * PAGE), size = random_below(&seed, PAGES * PAGE - base);
            memory_map_add_free(&info, base, size);
            for (uint64_t p = (base + PAGE - 1) / PAGE; p < (base + size) / PAGE; p++)
                m.free[p] = true;
        }
        for (unsigned k = 0; k < 6; k++) {
            uint64_t base = random_below(&seed, PAGES * PAGE), size = random_below(&seed, 20 * PAGE);
            memory_map_carve(&info, base, size, ABI_MEMORY_RESERVED);
            for (uint64_t p = base / PAGE; size && p < PAGES && p * PAGE < base + size; p++)
                m.free[p] = false;
        }
        good = good && matches(&info, &m);
        uint64_t size = (1 + random_below(&seed, 8)) * PAGE, align = PAGE << random_below(&seed, 4);
        uint64_t at = memory_map_take(&info, size, align, PAGES * PAGE, ABI_MEMORY_KERNEL);
        for (uint64_t p = at / PAGE; at && p < (at + size) / PAGE; p++) {
            taken_good = taken_good && m.free[p] && at % align == 0;
            m.free[p] = false;
        }
        taken_good = taken_good && matches(&info, &m);
    }
    ok(good, "random maps: FREE is what the model says");
    ok(taken_good, "random maps: what is taken was FREE, aligned, and is no longer");
}

static void test_full(void)
{
    static struct abi_info info;
    memory_map_add_free(&info, 0, 4096 * PAGE);
    bool listed = true;
    for (uint64_t i = 1; i < 400; i++)
        listed = memory_map_carve(&info, i * 2 * PAGE, PAGE, ABI_MEMORY_RESERVED) && listed;
    ok(!listed && info.range_count == MEMORY_MAP_MAX, "a full list says so");
    bool clean = true;
    for (unsigned k = 0; k < info.range_count; k++) {
        const struct abi_memory_range *r = &info.range[k];
        for (uint64_t i = 1; i < 400; i++)
            clean = clean && !(r->type == ABI_MEMORY_FREE && r->base <= i * 2 * PAGE && i * 2 * PAGE < r->base + r->size);
    }
    ok(clean, "and still nothing that was carved is FREE");
}

static void test_edges(void)
{
    static struct abi_info info;
    memory_map_add_free(&info, 0x1001, 0x1ffe);
    ok(info.range_count == 0, "less than a whole page is nothing");
    memory_map_add_free(&info, UINT64_MAX - 5, UINT64_MAX);
    ok(info.range_count == 0, "RAM at the end of the address space is ignored");
    memory_map_add_free(&info, 0x1000, UINT64_MAX);
    is_u64(info.range[0].base + info.range[0].size, MEMORY_MAP_END, "a size that wraps is cut");
    ok(memory_map_carve(&info, 0x5000, UINT64_MAX, ABI_MEMORY_RESERVED), "carving with a size that wraps");
    is_u64(memory_map_free_bytes(&info), 0x4000, "leaves what is below");
    is_u64(memory_map_take(&info, 0x5000, PAGE, 1 << 20, ABI_MEMORY_KERNEL), 0, "more than there is cannot be taken");
    memory_map_sort(&info);
    ok(info.range[0].base <= info.range[1].base, "sorted");
}

int main(void)
{
    test_edges();
    test_full();
    test_random();
    return tap_done();
}
