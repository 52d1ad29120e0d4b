/* SPDX-License-Identifier: MIT */
/* A BIOS ROM below 4 GiB and its shadow below 1 MiB. */
#include "vmm/devices/rom.h"

#define ROM_END 0x100000000ull

static uint64_t rom_read(void *device, uint64_t offset, unsigned size)
{
    const struct rom *rom = device;
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)rom->image[offset + i] << 8 * i;
    return value;
}

bool rom_size_valid(uint64_t size)
{
    return size >= ROM_MIN && size <= ROM_MAX && size % ROM_ALIGN == 0;
}

enum vmm_status rom_init(struct rom *rom, struct memory_bus *bus, const uint8_t *image,
                         uint64_t size)
{
    if (!rom_size_valid(size))
        return VMM_BAD_IMAGE;
    rom->image = image;
    rom->size = size;
    rom->range = (struct bus_range){"rom", ROM_END - size, size, 8, NULL, rom_read, NULL, rom};
    return memory_bus_add(bus, &rom->range);
}

bool rom_shadow(const struct rom *rom, struct memory *memory)
{
    uint64_t size = rom->size < ROM_SHADOW ? rom->size : ROM_SHADOW;

    return memory_write(memory, MEMORY_EXTENDED - size, rom->image + rom->size - size, size);
}
