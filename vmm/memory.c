/* SPDX-License-Identifier: MIT */
/*
 * Guest-physical memory: layout of the host's chunks, and bounded access by guest-physical
 * address.
 */
#include "vmm/memory.h"

#include "lib/string.h"

#define PAGE 4096ull

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static enum vmm_status add_piece(struct memory *memory, struct host *host, uint64_t gpa,
                                 uint8_t *base, uint64_t size)
{
    enum vmm_status status;

    if (memory->count == MEMORY_PIECES)
        return VMM_NO_MEMORY;
    status = host_guest_map(host, gpa, base, size, true);
    if (status != VMM_OK)
        return status;
    memory->piece[memory->count++] = (struct memory_piece){gpa, size, base};
    memory->size += size;
    return VMM_OK;
}

enum vmm_status memory_init(struct memory *memory, struct host *host, uint64_t size)
{
    struct host_chunk chunk[MEMORY_PIECES];
    size_t chunks = host_guest_chunks(host, chunk, MEMORY_PIECES);
    uint64_t gpa = 0;
    uint64_t left = size;

    memset(memory, 0, sizeof(*memory));
    if (size < MEMORY_MIN || size > MEMORY_MAX || size % PAGE)
        return VMM_BAD_CONFIG;
    for (size_t i = 0; i < chunks && left; i++) {
        uint64_t used = 0;

        while (left && chunk[i].size - used >= PAGE) {
            uint64_t part = min_u64(left, (chunk[i].size - used) & ~(PAGE - 1));
            enum vmm_status status;

            if (gpa < MEMORY_LOW_MAX)
                part = min_u64(part, MEMORY_LOW_MAX - gpa);
            status = add_piece(memory, host, gpa, chunk[i].base + used, part);
            if (status != VMM_OK)
                return status;
            used += part;
            left -= part;
            gpa += part;
            if (gpa == MEMORY_LOW_MAX)
                gpa = MEMORY_HIGH;
        }
    }
    memory->low_end = min_u64(size, MEMORY_LOW_MAX);
    memory->high_end = size > MEMORY_LOW_MAX ? MEMORY_HIGH + size - MEMORY_LOW_MAX : MEMORY_HIGH;
    return left ? VMM_NO_MEMORY : VMM_OK;
}

static const struct memory_piece *find(const struct memory *memory, uint64_t gpa)
{
    for (unsigned i = 0; i < memory->count; i++) {
        const struct memory_piece *piece = &memory->piece[i];

        if (gpa - piece->gpa < piece->size)
            return piece;
    }
    return NULL;
}

uint8_t *memory_pointer(const struct memory *memory, uint64_t gpa, uint64_t size)
{
    const struct memory_piece *piece = find(memory, gpa);

    if (!piece || !size || size > piece->size - (gpa - piece->gpa))
        return NULL;
    return piece->base + (gpa - piece->gpa);
}

bool memory_is_ram(const struct memory *memory, uint64_t gpa, uint64_t size)
{
    while (size) {
        const struct memory_piece *piece = find(memory, gpa);
        uint64_t part;

        if (!piece)
            return false;
        part = min_u64(size, piece->size - (gpa - piece->gpa));
        gpa += part;
        size -= part;
    }
    return true;
}

/* The longest part of [gpa, gpa + size) in one piece, and its address. */
static uint8_t *part_at(const struct memory *memory, uint64_t gpa, uint64_t size, uint64_t *part)
{
    const struct memory_piece *piece = find(memory, gpa);

    *part = min_u64(size, piece->size - (gpa - piece->gpa));
    return piece->base + (gpa - piece->gpa);
}

bool memory_read(const struct memory *memory, uint64_t gpa, void *to, uint64_t size)
{
    uint8_t *out = to;
    uint64_t part;

    if (!memory_is_ram(memory, gpa, size))
        return false;
    for (; size; gpa += part, out += part, size -= part) {
        const uint8_t *from = part_at(memory, gpa, size, &part);

        memcpy(out, from, part);
    }
    return true;
}

static bool wrote(const struct memory *memory, uint64_t gpa, uint64_t size)
{
    if (memory->watch.wrote)
        memory->watch.wrote(memory->watch.arg, gpa, size);
    return true;
}

bool memory_write(struct memory *memory, uint64_t gpa, const void *from, uint64_t size)
{
    const uint8_t *in = from;
    uint64_t part, left = size;

    if (!memory_is_ram(memory, gpa, size))
        return false;
    for (; left; gpa += part, in += part, left -= part) {
        uint8_t *to = part_at(memory, gpa, left, &part);

        memcpy(to, in, part);
    }
    return wrote(memory, gpa - size, size);
}

bool memory_fill(struct memory *memory, uint64_t gpa, uint8_t value, uint64_t size)
{
    uint64_t part, left = size;

    if (!memory_is_ram(memory, gpa, size))
        return false;
    for (; left; gpa += part, left -= part) {
        uint8_t *to = part_at(memory, gpa, left, &part);

        memset(to, value, part);
    }
    return wrote(memory, gpa - size, size);
}

size_t memory_e820(const struct memory *memory, uint64_t ebda, uint64_t acpi_size,
                   struct memory_e820_entry *map, size_t max)
{
    const uint64_t acpi = memory->low_end - acpi_size;
    const struct memory_e820_entry all[] = {
        {0, ebda, E820_RAM},
        {ebda, MEMORY_EXTENDED - ebda, E820_RESERVED},
        {MEMORY_EXTENDED, acpi - MEMORY_EXTENDED, E820_RAM},
        {acpi, acpi_size, E820_ACPI},
        {0xfec00000, 0x1000, E820_RESERVED},  // IOAPIC
        {0xfed00000, 0x1000, E820_RESERVED},  // HPET
        {0xfee00000, 0x1000, E820_RESERVED},  // local APICs
        {0xfffc0000, 0x40000, E820_RESERVED}, // flash
        {MEMORY_HIGH, memory->high_end - MEMORY_HIGH, E820_RAM},
    };
    size_t n = 0;

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]) && n < max; i++)
        if (all[i].size)
            map[n++] = all[i];
    return n;
}
