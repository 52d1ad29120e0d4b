/* SPDX-License-Identifier: MIT */
/*
 * Where a loader puts things in guest RAM: a record of what is taken, and a search for what is
 * free.
 *
 * Usable RAM is what the E820 map calls so: from 4 KiB to the extended BIOS data area, from 1 MiB
 * to the end of low RAM, and above 4 GiB. Bounds are given as [min, max). Nothing is written to
 * guest memory here, and every number may be hostile.
 */
#ifndef VMM_BOOT_PLACE_H
#define VMM_BOOT_PLACE_H

#include "vmm/memory.h"

#define PLACE_RANGES 128u
#define PLACE_FIRST  0x1000ull  // below: interrupt vectors and BIOS data
#define PLACE_EBDA   0x9fc00ull // extended BIOS data area, reserved, to 640 KiB
#define PLACE_PAGE   0x1000ull

struct place_range {
    uint64_t first;
    uint64_t size;
};

struct place {
    const struct memory *memory;
    struct place_range used[PLACE_RANGES];
    unsigned count;
};

void place_init(struct place *place, const struct memory *memory);

/* Take exactly this range: VMM_BAD_RANGE if it is empty or not usable RAM, VMM_OVERLAP if part is
 * taken. */
enum vmm_status place_take(struct place *place, uint64_t first, uint64_t size) VMM_MUST_CHECK;

/* Take the lowest or the highest free range; align is a power of two. False if there is none. */
bool place_lowest(struct place *place, uint64_t size, uint64_t align, uint64_t min, uint64_t max,
                  uint64_t *first) VMM_MUST_CHECK;
bool place_highest(struct place *place, uint64_t size, uint64_t align, uint64_t min, uint64_t max,
                   uint64_t *first) VMM_MUST_CHECK;

#endif
