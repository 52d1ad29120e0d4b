/* SPDX-License-Identifier: MIT */
/* RSDP, RSDT or XSDT, MADT. */
#include "kernel/acpi.h"

#include "kernel/boot.h"
#include "lib/string.h"

#define TABLE_MAX 0x100000u
#define HEADER 36u

enum { MADT_LAPIC, MADT_IOAPIC, MADT_X2APIC = 9 };

static uint32_t read32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static bool checksum_good(const uint8_t *p, uint32_t size)
{
    uint8_t sum = 0;
    while (size--)
        sum = (uint8_t)(sum + *p++);
    return sum == 0;
}

/* A whole table with a good checksum, or NULL. */
static const uint8_t *table_at(uint64_t phys, const char *signature, uint32_t *size)
{
    const uint8_t *t = boot_map(phys, HEADER);
    if (!t || memcmp(t, signature, 4))
        return NULL;
    *size = read32(t + 4);
    if (*size < HEADER || *size > TABLE_MAX || !boot_map(phys, *size) || !checksum_good(t, *size))
        return NULL;
    return t;
}

static uint64_t find_rsdp(void)
{
    const uint16_t *ebda = boot_map(0x40e, 2);
    uint64_t from[2] = {0xe0000, (uint64_t)*ebda << 4}, size[2] = {0x20000, 1024};
    for (unsigned i = 0; i < 2; i++)
        for (uint64_t at = from[i]; from[i] && at < from[i] + size[i]; at += 16) {
            const uint8_t *p = boot_map(at, 20);
            if (!memcmp(p, "RSD PTR ", 8) && checksum_good(p, 20))
                return at;
        }
    return 0;
}

static void add_cpu(struct acpi_madt *madt, uint32_t apic_id, uint32_t flags)
{
    for (uint32_t i = 0; i < madt->cpu_count; i++)
        if (madt->apic_id[i] == apic_id)
            return;
    if ((flags & 1) && madt->cpu_count < ACPI_CPU_MAX)
        madt->apic_id[madt->cpu_count++] = apic_id;
}

static void read_madt(struct acpi_madt *madt, const uint8_t *t, uint32_t size)
{
    for (uint32_t at = HEADER + 8; at + 2 <= size;) {
        const uint8_t *e = t + at;
        uint32_t length = e[1];
        if (length < 2 || length > size - at)
            return;
        if (e[0] == MADT_LAPIC && length >= 8) {
            add_cpu(madt, e[3], read32(e + 4));
        } else if (e[0] == MADT_X2APIC && length >= 16) {
            add_cpu(madt, read32(e + 4), read32(e + 8));
        } else if (e[0] == MADT_IOAPIC && length >= 12 && madt->ioapic_count < ACPI_IOAPIC_MAX) {
            madt->ioapic[madt->ioapic_count].address = read32(e + 4);
            madt->ioapic[madt->ioapic_count++].pin_base = read32(e + 8);
        }
        at += length;
    }
}

void acpi_read(struct acpi_madt *madt, uint64_t rsdp)
{
    const uint8_t *p;
    uint32_t size;
    *madt = (struct acpi_madt){.rsdp = rsdp ? rsdp : find_rsdp()};
    if (!madt->rsdp || !(p = boot_map(madt->rsdp, 36)))
        return;
    uint64_t xsdt = p[15] >= 2 ? (uint64_t)read32(p + 28) << 32 | read32(p + 24) : 0;
    unsigned width = xsdt ? 8 : 4;
    const uint8_t *root = table_at(xsdt ? xsdt : read32(p + 16), xsdt ? "XSDT" : "RSDT", &size);
    for (uint32_t at = HEADER; root && at + width <= size; at += width) {
        uint64_t phys = read32(root + at) | (width == 8 ? (uint64_t)read32(root + at + 4) << 32 : 0);
        uint32_t madt_size;
        const uint8_t *t = table_at(phys, "APIC", &madt_size);
        if (t && madt_size >= HEADER + 8) {
            read_madt(madt, t, madt_size);
            return;
        }
    }
}
