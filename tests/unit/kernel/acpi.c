/* SPDX-License-Identifier: MIT */
/* MADT parsing: a good set of tables, then every byte of it broken in every way, over fake physical memory. */
#include "kernel/acpi.h"
#include "kernel/boot.h"
#include "tests/unit/tap.h"

#include <stdlib.h>
#include <string.h>

#define RSDP_AT 0x100u
#define ROOT_AT 0x200u
#define MADT_AT 0x300u
#define SIZE    0x400u

/* Exactly SIZE bytes from the heap, so that the sanitizer sees one too many. */
static uint8_t *memory;

void *boot_map(uint64_t phys, uint64_t size)
{
    return phys && phys < SIZE && size <= SIZE - phys ? memory + phys : NULL;
}

static void put32(uint32_t at, uint32_t value)
{
    memcpy(memory + at, &value, 4);
}

static void seal(uint32_t at, uint32_t size, uint32_t checksum)
{
    uint8_t sum = 0;
    memory[at + checksum] = 0;
    for (uint32_t i = 0; i < size; i++)
        sum = (uint8_t)(sum + memory[at + i]);
    memory[at + checksum] = (uint8_t)-sum;
}

static void build(bool xsdt)
{
    static const uint8_t entries[] = {
        0, 8, 0, 0, 1, 0, 0, 0,  0, 8, 1, 3, 1, 0, 0, 0,  0, 8, 2, 4, 0, 0, 0, 0,  0, 8, 2, 3, 1, 0, 0, 0,
        1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0,  1, 12, 1, 0, 0, 0x10, 0xc0, 0xfe, 24, 0, 0, 0,
        9, 16, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0};
    memset(memory, 0, SIZE);
    memcpy(memory + RSDP_AT, "RSD PTR ", 8);
    memory[RSDP_AT + 15] = xsdt ? 2 : 0;
    put32(RSDP_AT + 16, ROOT_AT);
    put32(RSDP_AT + 24, xsdt ? ROOT_AT : 0);
    memcpy(memory + ROOT_AT, xsdt ? "XSDT" : "RSDT", 4);
    put32(ROOT_AT + 4, xsdt ? 44 : 40);
    put32(ROOT_AT + 36, MADT_AT);
    seal(ROOT_AT, xsdt ? 44 : 40, 9);
    memcpy(memory + MADT_AT, "APIC", 4);
    put32(MADT_AT + 4, 44 + sizeof(entries));
    memcpy(memory + MADT_AT + 44, entries, sizeof(entries));
    seal(MADT_AT, 44 + sizeof(entries), 9);
}

static void test_good(bool xsdt)
{
    struct acpi_madt madt;
    build(xsdt);
    acpi_read(&madt, RSDP_AT);
    is_u64(madt.cpu_count, 3, xsdt ? "XSDT: enabled CPUs, each once" : "RSDT: enabled CPUs, each once");
    is_u64(madt.apic_id[1], 3, "local APIC id");
    is_u64(madt.apic_id[2], 256, "x2APIC id");
    is_u64(madt.ioapic_count, 2, "I/O APICs");
    is_u64(madt.ioapic[1].address, 0xfec01000, "address");
    is_u64(madt.ioapic[1].pin_base, 24, "first interrupt");
}

/* With the checksum repaired after each change, so that the parser gets to see it. */
static void test_broken(void)
{
    bool bounded = true;
    for (uint32_t at = ROOT_AT; at < SIZE; at++)
        for (uint32_t value = 0; value < 256; value++) {
            struct acpi_madt madt;
            build(true);
            memory[at] = (uint8_t)value;
            seal(ROOT_AT, 44, 9);
            uint32_t size;
            memcpy(&size, memory + MADT_AT + 4, 4);
            if (size <= SIZE - MADT_AT)
                seal(MADT_AT, size, 9);
            acpi_read(&madt, RSDP_AT);
            bounded = bounded && madt.cpu_count <= ACPI_CPU_MAX && madt.ioapic_count <= ACPI_IOAPIC_MAX;
        }
    ok(bounded, "any one wrong byte: bounded, and nothing outside is read");
    struct acpi_madt madt;
    build(true);
    memory[MADT_AT + 60] ^= 1;
    acpi_read(&madt, RSDP_AT);
    is_u64(madt.cpu_count, 0, "a bad checksum: no MADT");
    acpi_read(&madt, SIZE - 1);
    is_u64(madt.cpu_count, 0, "an RSDP out of reach: none");
}

int main(void)
{
    memory = malloc(SIZE);
    test_good(false);
    test_good(true);
    test_broken();
    free(memory);
    return tap_done();
}
