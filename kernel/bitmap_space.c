/* SPDX-License-Identifier: MIT */
/* Port and MSR permission bitmaps. */
#include "kernel/bitmap_space.h"

#include "kernel/space.h"
#include "lib/bitmap.h"

#define MSR_RANGE 8192u // MSRs in one of the ranges

/* First bit of an MSR in the map, or BITMAP_NONE. */
static size_t msr_bit(uint64_t msr)
{
    static const uint64_t base[] = {0, 0xc0000000, 0xc0010000};

    for (size_t i = 0; i < ARRAY_SIZE(base); i++)
        if (msr - base[i] < MSR_RANGE)
            return 2 * (i * MSR_RANGE + (size_t)(msr - base[i]));
    return BITMAP_NONE;
}

static void set_msrs(const struct node *node, bool allow)
{
    for (uint64_t i = 0; i < node->count; i++) {
        size_t bit = msr_bit(node->rb.key + i);
        for (size_t k = 0; k < 2 && bit != BITMAP_NONE; k++) // bit 0 ABI_PERM_MSR_R, bit 1 ABI_PERM_MSR_W
            if (allow && node->perms >> k & 1)
                bitmap_clear(node->space->root, bit + k);
            else
                bitmap_set(node->space->root, bit + k);
    }
}

void bitmap_space_set(const struct node *node, bool allow)
{
    if (node->space->object.type == OBJECT_SPACE_MSR)
        set_msrs(node, allow);
    else if (allow && node->perms & ABI_PERM_PIO)
        bitmap_clear_range(node->space->root, node->rb.key, node->count);
    else
        bitmap_set_range(node->space->root, node->rb.key, node->count);
}
