/* SPDX-License-Identifier: MIT */
/*
 * A BIOS ROM: it ends at 4 GiB, and its last 128 KiB (or all of a smaller one) are copied to RAM
 * that ends at 1 MiB, as a PC's chip set decodes and shadows it.
 *
 * Guests cannot write to the ROM; the shadow is RAM. The image stays the caller's. Reads need no
 * lock: the image does not change.
 */
#ifndef VMM_DEVICES_ROM_H
#define VMM_DEVICES_ROM_H

#include "vmm/bus.h"
#include "vmm/memory.h"

#define ROM_MIN    0x10000u
#define ROM_MAX    0x1000000u
#define ROM_ALIGN  0x1000u
#define ROM_SHADOW 0x20000u

struct rom {
    struct bus_range range;
    const uint8_t *image;
    uint64_t size;
};

/* ROM_MIN to ROM_MAX in multiples of ROM_ALIGN? */
bool rom_size_valid(uint64_t size);
/* VMM_BAD_IMAGE if the size is not valid. */
enum vmm_status rom_init(struct rom *rom, struct memory_bus *bus, const uint8_t *image,
                         uint64_t size) VMM_MUST_CHECK;
/* Before the first instruction, and after a reset. */
bool rom_shadow(const struct rom *rom, struct memory *memory) VMM_MUST_CHECK;

#endif
