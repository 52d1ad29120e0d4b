/* SPDX-License-Identifier: MIT */
/*
 * Guest-physical memory: RAM in pieces that need not be contiguous on the host.
 *
 * The map is a PC's: RAM from 0 up to MEMORY_LOW_MAX, a hole for PCI, IOAPIC and local APICs up
 * to 4 GiB, the rest of RAM above it. Pieces are sorted by address and do not change after
 * memory_init(), so reading the map needs no lock. Other vCPUs write to RAM at any time: copy
 * first, then check the copy. Every function here bounds its range; none wraps.
 */
#ifndef VMM_MEMORY_H
#define VMM_MEMORY_H

#include "vmm/host.h"
#include "vmm/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEMORY_LOW_MAX  0xc0000000ull  // RAM below 4 GiB ends here at the latest
#define MEMORY_HIGH     0x100000000ull
#define MEMORY_MIN      (16ull << 20)
#define MEMORY_MAX      (1ull << 39)
#define MEMORY_PIECES   64u
#define MEMORY_LEGACY   0xa0000ull     // no RAM for E820 from here (display, ROMs) ...
#define MEMORY_EXTENDED 0x100000ull    // ... to here, though the BIOS area is RAM underneath

struct memory_piece {
    uint64_t gpa;
    uint64_t size;
    uint8_t *base;
};

/* Who wants to know what devices have written to RAM, after they have. */
struct memory_watch {
    void (*wrote)(void *arg, uint64_t gpa, uint64_t size);
    void *arg;
};

struct memory {
    struct memory_piece piece[MEMORY_PIECES];
    unsigned count;
    uint64_t size;      // RAM in all
    uint64_t low_end;   // end of RAM below 4 GiB
    uint64_t high_end;  // end of RAM above 4 GiB, or MEMORY_HIGH
    struct memory_watch watch; // set before the machine runs; wrote may be NULL
};

/* E820 types (ACPI 6.4, 15.1). */
enum memory_e820 { E820_RAM = 1, E820_RESERVED = 2, E820_ACPI = 3, E820_NVS = 4 };
struct memory_e820_entry {
    uint64_t base;
    uint64_t size;
    uint32_t type;
};

/* Lays `size` bytes of the host's chunks out and maps them for the guest. */
enum vmm_status memory_init(struct memory *memory, struct host *host, uint64_t size) VMM_MUST_CHECK;

/* The host's address of [gpa, gpa + size) if that is RAM, in one piece and not empty; else NULL. */
uint8_t *memory_pointer(const struct memory *memory, uint64_t gpa, uint64_t size);
/* Is all of [gpa, gpa + size) RAM (in any number of pieces)? */
bool memory_is_ram(const struct memory *memory, uint64_t gpa, uint64_t size);

/*
 * Copies, over the borders of pieces; false (and, for fill and write, nothing written) if part of
 * the range is not RAM.
 */
bool memory_read(const struct memory *memory, uint64_t gpa, void *to, uint64_t size) VMM_MUST_CHECK;
bool memory_write(struct memory *memory, uint64_t gpa, const void *from,
                  uint64_t size) VMM_MUST_CHECK;
bool memory_fill(struct memory *memory, uint64_t gpa, uint8_t value, uint64_t size) VMM_MUST_CHECK;

/*
 * The E820 map, sorted, at most max entries; returns how many. 640 KiB, reserved [ebda, 1 MiB),
 * RAM up to low_end with its last `acpi_size` bytes as ACPI data, reserved APIC pages and flash,
 * RAM above 4 GiB. ebda is where the loaders' low tables begin.
 */
size_t memory_e820(const struct memory *memory, uint64_t ebda, uint64_t acpi_size,
                   struct memory_e820_entry *map, size_t max);

#endif
