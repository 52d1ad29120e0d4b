/* SPDX-License-Identifier: MIT */
/* A first-fit search over the few ranges that a loader takes. */
#include "vmm/boot/place.h"

#include "lib/align.h"

#define REGIONS 3u

static void regions(const struct memory *memory, struct place_range region[REGIONS])
{
    region[0] = (struct place_range){ PLACE_FIRST, PLACE_EBDA - PLACE_FIRST };
    region[1] = (struct place_range){ MEMORY_EXTENDED, memory->low_end - MEMORY_EXTENDED };
    region[2] = (struct place_range){ MEMORY_HIGH, memory->high_end - MEMORY_HIGH };
}

static const struct place_range *taken(const struct place *place, uint64_t first, uint64_t size)
{
    for (unsigned i = 0; i < place->count; i++) {
        const struct place_range *u = &place->used[i];

        if (first < u->first + u->size && u->first < first + size)
            return u;
    }
    return NULL;
}

static bool record(struct place *place, uint64_t first, uint64_t size)
{
    if (place->count == PLACE_RANGES)
        return false;
    place->used[place->count++] = (struct place_range){ first, size };
    return true;
}

void place_init(struct place *place, const struct memory *memory)
{
    *place = (struct place){ .memory = memory };
}

enum vmm_status place_take(struct place *place, uint64_t first, uint64_t size)
{
    struct place_range region[REGIONS];
    bool usable = false;

    regions(place->memory, region);
    for (unsigned i = 0; i < REGIONS; i++)
        usable |= first >= region[i].first &&
                  range_fits(first - region[i].first, size, region[i].size);
    if (!usable || size == 0)
        return VMM_BAD_RANGE;
    if (taken(place, first, size) != NULL)
        return VMM_OVERLAP;
    return record(place, first, size) ? VMM_OK : VMM_NO_MEMORY;
}

bool place_lowest(struct place *place, uint64_t size, uint64_t align, uint64_t min, uint64_t max,
                  uint64_t *first)
{
    struct place_range region[REGIONS];

    regions(place->memory, region);
    for (unsigned i = 0; i < REGIONS && size != 0; i++) {
        uint64_t from = MAX(min, region[i].first);
        uint64_t end = MIN(max, region[i].first + region[i].size);

        while (from < end) {
            uint64_t at = ALIGN_UP(from, align);
            const struct place_range *u;

            if (at < from || at >= end || size > end - at)
                break;
            u = taken(place, at, size);
            if (u == NULL) {
                *first = at;
                return record(place, at, size);
            }
            from = u->first + u->size;
        }
    }
    return false;
}

bool place_highest(struct place *place, uint64_t size, uint64_t align, uint64_t min, uint64_t max,
                   uint64_t *first)
{
    struct place_range region[REGIONS];

    regions(place->memory, region);
    for (unsigned i = REGIONS; i-- > 0 && size != 0;) {
        uint64_t from = MAX(min, region[i].first);
        uint64_t end = MIN(max, region[i].first + region[i].size);

        while (from < end && size <= end - from) {
            uint64_t at = ALIGN_DOWN(end - size, align);
            const struct place_range *u;

            if (at < from)
                break;
            u = taken(place, at, size);
            if (u == NULL) {
                *first = at;
                return record(place, at, size);
            }
            end = u->first;
        }
    }
    return false;
}
