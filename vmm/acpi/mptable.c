/* SPDX-License-Identifier: MIT */
/* The MP floating pointer and configuration table. */
#include "vmm/acpi/mptable.h"

#include "lib/align.h"
#include "lib/checksum.h"
#include "lib/string.h"
#include "vmm/devices/pm.h"

#define SPEC_REV        4u // 1.4
#define BUS_PCI         0u
#define BUS_ISA         1u
#define LAPIC_VERSION   0x14u
#define IOAPIC_VERSION  0x20u
#define LEVEL_HIGH      0x000du
#define PCI_LEVEL_LOW   0x000fu
#define ISA_LINES       16u
#define ALL_LAPICS      0xffu

enum { ENTRY_PROCESSOR, ENTRY_BUS, ENTRY_IOAPIC, ENTRY_INTERRUPT, ENTRY_LOCAL_INTERRUPT };
enum { TYPE_INT, TYPE_NMI, TYPE_SMI, TYPE_EXTINT };

struct mp_pointer {
    char     signature[4];
    uint32_t table;
    uint8_t  length; // in 16 bytes
    uint8_t  revision, checksum, features[5];
};
_Static_assert(sizeof(struct mp_pointer) == 16, "MP 1.4, 4.1");

struct mp_table {
    char     signature[4];
    uint16_t length;
    uint8_t  revision, checksum;
    char     oem[8], product[12];
    uint32_t oem_table;
    uint16_t oem_size, entries;
    uint32_t lapic;
    uint16_t extended_length;
    uint8_t  extended_checksum, reserved;
};
_Static_assert(sizeof(struct mp_table) == 44, "MP 1.4, 4.2");

struct mp_processor {
    uint8_t  type, id, version, flags;
    uint32_t signature, features, reserved[2];
};
_Static_assert(sizeof(struct mp_processor) == 20, "MP 1.4, 4.3.1");

struct mp_bus {
    uint8_t type, id;
    char    name[6];
};
_Static_assert(sizeof(struct mp_bus) == 8, "MP 1.4, 4.3.2");

struct mp_ioapic {
    uint8_t  type, id, version, flags;
    uint32_t address;
};
_Static_assert(sizeof(struct mp_ioapic) == 8, "MP 1.4, 4.3.3");

struct mp_interrupt { // also the local one
    uint8_t  type, kind;
    uint16_t flags;
    uint8_t  bus, irq, apic, input;
};
_Static_assert(sizeof(struct mp_interrupt) == 8, "MP 1.4, 4.3.4");

struct builder {
    uint8_t *to;
    size_t   room, used;
    unsigned entries;
    bool     full;
};

static void add(struct builder *b, const void *entry, size_t size)
{
    if (!range_fits(b->used, size, b->room)) {
        b->full = true;
        return;
    }
    memcpy(b->to + b->used, entry, size);
    b->used += size;
    b->entries++;
}

static void add_processors(struct builder *b, const struct firmware_config *config)
{
    for (unsigned i = 0; i < config->cpus; i++) {
        const struct mp_processor p = {
            .type = ENTRY_PROCESSOR,
            .id = (uint8_t)i,
            .version = LAPIC_VERSION,
            .flags = i == 0 ? 3 : 1, // enabled, boot processor
            .signature = config->cpu_signature,
            .features = config->cpu_features,
        };

        add(b, &p, sizeof(p));
    }
}

static void add_interrupts(struct builder *b, uint8_t ioapic)
{
    for (unsigned irq = 0; irq < ISA_LINES; irq++) {
        struct mp_interrupt i = { ENTRY_INTERRUPT, TYPE_INT, 0,           BUS_ISA,
                                  (uint8_t)irq,    ioapic,   (uint8_t)irq };

        if (irq == 2) // the cascade
            continue;
        if (irq == 0)
            i.input = 2;
        if (irq == PM_SCI)
            i.flags = LEVEL_HIGH;
        add(b, &i, sizeof(i));
    }
    for (unsigned slot = 1; slot < 32; slot++)
        for (unsigned pin = 0; pin < 4; pin++) {
            const struct mp_interrupt i = { ENTRY_INTERRUPT,
                                            TYPE_INT,
                                            PCI_LEVEL_LOW,
                                            BUS_PCI,
                                            (uint8_t)(slot << 2 | pin),
                                            ioapic,
                                            firmware_pci_gsi(slot, pin) };

            add(b, &i, sizeof(i));
        }
}

static void add_entries(struct builder *b, const struct firmware_config *config)
{
    const struct mp_bus pci = { ENTRY_BUS, BUS_PCI, { 'P', 'C', 'I', ' ', ' ', ' ' } };
    const struct mp_bus isa = { ENTRY_BUS, BUS_ISA, { 'I', 'S', 'A', ' ', ' ', ' ' } };
    const struct mp_ioapic ioapic = { ENTRY_IOAPIC, FIRMWARE_IOAPIC_ID, IOAPIC_VERSION, 1,
                                      FIRMWARE_IOAPIC };
    const struct mp_interrupt extint = {
        ENTRY_LOCAL_INTERRUPT, TYPE_EXTINT, 0, BUS_ISA, 0, ALL_LAPICS, 0
    };
    const struct mp_interrupt nmi = {
        ENTRY_LOCAL_INTERRUPT, TYPE_NMI, 0, BUS_ISA, 0, ALL_LAPICS, 1
    };

    add_processors(b, config);
    add(b, &pci, sizeof(pci));
    add(b, &isa, sizeof(isa));
    add(b, &ioapic, sizeof(ioapic));
    add_interrupts(b, ioapic.id);
    add(b, &extint, sizeof(extint));
    add(b, &nmi, sizeof(nmi));
}

bool mptable_build(uint8_t *to, uint32_t address, size_t room, const struct firmware_config *config)
{
    struct builder b = { .to = to,
                         .room = room,
                         .used = sizeof(struct mp_pointer) + sizeof(struct mp_table) };
    struct mp_pointer pointer = { .table = address + sizeof(struct mp_pointer),
                                  .length = 1,
                                  .revision = SPEC_REV };
    struct mp_table table = { .revision = SPEC_REV, .lapic = FIRMWARE_LAPIC };
    uint8_t *at = to + sizeof(pointer);

    if (room < b.used)
        return false;
    add_entries(&b, config);
    if (b.full)
        return false;
    memcpy(table.signature, "PCMP", 4);
    memcpy(table.oem, "VBOXCPU ", 8);
    memcpy(table.product, "VirtualBox  ", 12);
    table.length = (uint16_t)(b.used - sizeof(pointer));
    table.entries = (uint16_t)b.entries;
    memcpy(at, &table, sizeof(table));
    table.checksum = (uint8_t)(0 - checksum_bytes(at, table.length));
    memcpy(at, &table, sizeof(table));
    memcpy(pointer.signature, "_MP_", 4);
    pointer.checksum = (uint8_t)(0 - checksum_bytes(&pointer, sizeof(pointer)));
    memcpy(to, &pointer, sizeof(pointer));
    return true;
}
