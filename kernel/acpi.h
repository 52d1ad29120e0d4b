/* SPDX-License-Identifier: MIT */
/*
 * What the kernel needs of ACPI (6.4, 5.2): the MADT's CPUs and I/O APICs. Tables are taken as hostile: every length is checked against the memory
 * that can be seen, and a bad checksum or length ends the search. User level reads all other tables.
 */
#ifndef KERNEL_ACPI_H
#define KERNEL_ACPI_H

#include <stdint.h>

#define ACPI_CPU_MAX    64u
#define ACPI_IOAPIC_MAX 8u

struct acpi_madt {
    uint64_t rsdp;
    uint32_t cpu_count;
    uint32_t apic_id[ACPI_CPU_MAX];  // enabled CPUs, in the table's order
    uint32_t ioapic_count;
    struct {
        uint32_t address;
        uint32_t pin_base;           // global system interrupt of its pin 0
    } ioapic[ACPI_IOAPIC_MAX];
};

/* rsdp: physical, or 0 to look where a BIOS leaves it. Without ACPI all counts are 0. Works only while booting (boot_map). */
void acpi_read(struct acpi_madt *madt, uint64_t rsdp);

#endif
