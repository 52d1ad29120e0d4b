/* SPDX-License-Identifier: MIT */
/* SMBIOS structures: a header with a type and a handle, a formatted part, and strings numbered
 * from 1. */
#include "vmm/acpi/smbios.h"

#include "lib/align.h"
#include "lib/checksum.h"
#include "lib/string.h"

#define ENTRY_SIZE  0x1fu
#define ENTRY_ROOM  0x20u
#define FORMATTED   64u // largest formatted part used here
#define UNKNOWN     2u

/* Handles: the type in the upper byte, a number in the lower. */
#define HANDLE(type, n) ((uint16_t)((type) << 8 | (n)))

struct builder {
    uint8_t *to;
    size_t   room, used;
    size_t   largest;
    unsigned count;
    bool     full;
};

struct structure {
    uint8_t  bytes[FORMATTED];
    unsigned length;
    const char *const *strings; // ends with NULL
};

static void put(struct structure *s, unsigned at, unsigned bytes, uint64_t value)
{
    for (unsigned i = 0; i < bytes; i++)
        s->bytes[at + i] = (uint8_t)(value >> (8 * i));
}

static struct structure start(unsigned type, unsigned number, unsigned length,
                              const char *const *strings)
{
    struct structure s = { .length = length, .strings = strings };

    put(&s, 0, 1, type);
    put(&s, 1, 1, length);
    put(&s, 2, 2, HANDLE(type, number));
    return s;
}

static void append(struct builder *b, const void *data, size_t size)
{
    if (b->full || !range_fits(b->used, size, b->room)) {
        b->full = true;
        return;
    }
    memcpy(b->to + b->used, data, size);
    b->used += size;
}

static void finish(struct builder *b, const struct structure *s)
{
    size_t first = b->used;

    append(b, s->bytes, s->length);
    for (const char *const *text = s->strings; *text != NULL; text++)
        append(b, *text, strlen(*text) + 1);
    append(b, "\0", *s->strings == NULL ? 2 : 1);
    b->largest = MAX(b->largest, b->used - first);
    b->count++;
}

static const char *const no_strings[] = { NULL };

static void add_firmware(struct builder *b)
{
    static const char *const strings[] = { "innotek GmbH", "VirtualBox", "12/01/2006", NULL };
    struct structure s = start(0, 0, 0x18, strings);

    put(&s, 0x04, 2, 0x0201); // vendor, version
    put(&s, 0x06, 2, 0xe000); // segment
    put(&s, 0x08, 1, 3);      // date
    put(&s, 0x09, 1, 1);      // 128 KiB
    put(&s, 0x0a, 8, 1u << 4 | 1u << 7); // ISA and PCI are there
    put(&s, 0x12, 2, 0x0001); // ACPI
    put(&s, 0x14, 4, 0xffffffff);
    finish(b, &s);
}

static void add_system(struct builder *b, const struct firmware_config *config)
{
    static const char *const strings[] = { "innotek GmbH",    "VirtualBox", "1.2", "0",
                                           "Virtual Machine", NULL };
    struct structure s = start(1, 0, 0x1b, strings);

    put(&s, 0x04, 4, 0x04030201); // manufacturer, product, version, serial number
    memcpy(s.bytes + 0x08, config->uuid, sizeof(config->uuid));
    put(&s, 0x18, 1, 6);          // woken by the power switch
    put(&s, 0x1a, 1, 5);          // family
    finish(b, &s);
}

static void add_board(struct builder *b)
{
    static const char *const strings[] = { "Oracle Corporation", "VirtualBox", "1.2", "0", NULL };
    struct structure s = start(2, 0, 0x0f, strings);

    put(&s, 0x04, 4, 0x04030201);
    put(&s, 0x09, 1, 1); // hosts the processors
    put(&s, 0x0b, 2, HANDLE(3, 0));
    put(&s, 0x0d, 1, 0x0a);
    finish(b, &s);
}

static void add_chassis(struct builder *b)
{
    static const char *const strings[] = { "Oracle Corporation", NULL };
    struct structure s = start(3, 0, 0x0d, strings);

    put(&s, 0x04, 2, 0x0101); // manufacturer; type other
    put(&s, 0x09, 4, 0x03030303); // states safe, no security
    finish(b, &s);
}

static void add_processor(struct builder *b, const struct firmware_config *config)
{
    static const char *const strings[] = { "CPU", NULL };
    struct structure s = start(4, 0, 0x28, strings);
    unsigned cores = config->cpus;

    put(&s, 0x04, 2, 0x0301); // socket name; a central processor
    put(&s, 0x06, 1, UNKNOWN);
    put(&s, 0x08, 4, config->cpu_signature);
    put(&s, 0x0c, 4, config->cpu_features);
    put(&s, 0x18, 1, 0x41); // populated, enabled
    put(&s, 0x19, 1, UNKNOWN);
    put(&s, 0x1a, 6, 0xffffffffffff); // no cache structures
    put(&s, 0x23, 3, (uint64_t)cores << 16 | cores << 8 | cores);
    put(&s, 0x26, 2, 4); // 64-bit
    finish(b, &s);
}

static void add_memory(struct builder *b, const struct firmware_config *config)
{
    static const char *const strings[] = { "DIMM 0", NULL };
    struct structure array = start(16, 0, 0x0f, no_strings), device = start(17, 0, 0x1b, strings);
    uint64_t kib = config->memory >> 10, mib = config->memory >> 20;

    put(&array, 0x04, 3, 0x030301); // on the board, system memory, no ECC
    put(&array, 0x07, 4, kib < 0x80000000 ? kib : 0x80000000);
    put(&array, 0x0b, 2, 0xfffe);
    put(&array, 0x0d, 2, 1);
    finish(b, &array);
    put(&device, 0x04, 4, 0xfffe0000 | HANDLE(16, 0));
    put(&device, 0x08, 4, 0xffffffff); // widths unknown
    put(&device, 0x0c, 2, mib < 0x7fff ? mib : 0x7fff);
    put(&device, 0x0e, 3, 0x010009); // DIMM, no set, locator
    put(&device, 0x12, 1, UNKNOWN);
    finish(b, &device);
}

/* Type 19: [first, last] in KiB. */
static void add_range(struct builder *b, unsigned number, uint64_t first, uint64_t size)
{
    struct structure s = start(19, number, 0x0f, no_strings);

    if (size == 0 || (first + size) >> 10 > 0xffffffff)
        return;
    put(&s, 0x04, 4, first >> 10);
    put(&s, 0x08, 4, ((first + size) >> 10) - 1);
    put(&s, 0x0c, 2, HANDLE(16, 0));
    put(&s, 0x0e, 1, 1);
    finish(b, &s);
}

static void add_boot_and_end(struct builder *b)
{
    struct structure boot = start(32, 0, 0x0b, no_strings), end = start(127, 0, 4, no_strings);

    finish(b, &boot);
    finish(b, &end);
}

static void write_entry(uint8_t *to, uint32_t address, const struct builder *b)
{
    struct structure e = { .length = ENTRY_SIZE };
    size_t size = b->used - ENTRY_ROOM;

    memcpy(e.bytes, "_SM_", 4);
    put(&e, 0x05, 1, ENTRY_SIZE);
    put(&e, 0x06, 2, 0x0502); // version 2.5
    put(&e, 0x08, 2, b->largest);
    memcpy(e.bytes + 0x10, "_DMI_", 5);
    put(&e, 0x16, 2, size);
    put(&e, 0x18, 4, address + ENTRY_ROOM);
    put(&e, 0x1c, 2, b->count);
    put(&e, 0x1e, 1, 0x25);
    e.bytes[0x15] = (uint8_t)(0 - checksum_bytes(e.bytes + 0x10, 0x0f));
    e.bytes[0x04] = (uint8_t)(0 - checksum_bytes(e.bytes, ENTRY_SIZE));
    memcpy(to, e.bytes, ENTRY_SIZE);
}

bool smbios_build(uint8_t *to, uint32_t address, size_t room, const struct firmware_config *config)
{
    struct builder b = { .to = to, .room = room, .used = ENTRY_ROOM };

    if (room < ENTRY_ROOM)
        return false;
    add_firmware(&b);
    add_system(&b, config);
    add_board(&b);
    add_chassis(&b);
    add_processor(&b, config);
    add_memory(&b, config);
    add_range(&b, 0, 0, config->low_end);
    add_range(&b, 1, MEMORY_HIGH, config->memory - config->low_end);
    add_boot_and_end(&b);
    if (!b.full)
        write_entry(to, address, &b);
    return !b.full;
}
