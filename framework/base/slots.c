/* SPDX-License-Identifier: MIT */
/* Free selectors. */
#include "framework/hypercall.h"
#include "framework/slots.h"
#include "framework/sync.h"
#include "lib/bitmap.h"

/* The component is the instance here: its one object space has one allocator, as its heap does. */
static struct {
    uint64_t used[BITMAP_WORDS(SLOT_COUNT)];
    uint32_t first;
    struct mutex mutex;
} slots;

enum status slots_init(uint32_t first)
{
    slots.first = first + 1;
    mutex_init(&slots.mutex, first);
    return status_of(hc_create_sm(first, SEL_PD, 0));
}

uint32_t slots_alloc(uint32_t count)
{
    size_t bit;

    mutex_lock(&slots.mutex);
    bit = bitmap_find_clear_range(slots.used, SLOT_COUNT, count, 1);
    if (bit != BITMAP_NONE)
        bitmap_set_range(slots.used, bit, count);
    mutex_unlock(&slots.mutex);
    return bit == BITMAP_NONE ? SEL_NONE : slots.first + (uint32_t)bit;
}

void slots_free(uint32_t first, uint32_t count)
{
    mutex_lock(&slots.mutex);
    bitmap_clear_range(slots.used, first - slots.first, count);
    mutex_unlock(&slots.mutex);
}

void slots_remove(uint32_t first, uint32_t count)
{
    if (hc_remove(SEL_OBJ, first, count) == ABI_OK)
        slots_free(first, count);
}
