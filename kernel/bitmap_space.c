/* SPDX-License-Identifier: MIT */
/* Port and MSR permission bitmaps. */
#include "kernel/bitmap_space.h"

#include "kernel/space.h"

#define MSR_RANGE 8192u // MSRs in one of the ranges

/* Sets or clears bits, whole words at once where it can. */
static void fill(uint64_t *map, uint64_t bit, uint64_t count, bool set)
{
    for (uint64_t end = bit + count, step; bit < end; bit += step) {
        bool word = bit % 64 == 0 && end - bit >= 64;
        uint64_t mask = word ? ~0ull : BIT(bit % 64);
        step = word ? 64 : 1;
        map[bit / 64] = set ? map[bit / 64] | mask : map[bit / 64] & ~mask;
    }
}

static void set_msrs(const struct node *node, bool allow)
{
    static const uint64_t base[] = {0, 0xc0000000, 0xc0010000};

    for (uint64_t msr = node->rb.key; msr < node->rb.key + node->count; msr++)
        for (unsigned i = 0; i < ARRAY_SIZE(base); i++) {
            uint64_t bit = 2 * (i * MSR_RANGE + msr - base[i]); // reading, then writing
            if (msr - base[i] >= MSR_RANGE)
                continue;
            fill(node->space->root, bit, 1, !(allow && node->perms & ABI_PERM_MSR_R));
            fill(node->space->root, bit + 1, 1, !(allow && node->perms & ABI_PERM_MSR_W));
        }
}

void bitmap_space_set(const struct node *node, bool allow)
{
    if (node->space->object.type == OBJECT_SPACE_MSR)
        set_msrs(node, allow);
    else
        fill(node->space->root, node->rb.key, node->count, !(allow && node->perms & ABI_PERM_PIO));
}
