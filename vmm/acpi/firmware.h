/* SPDX-License-Identifier: MIT */
/*
 * What a BIOS leaves in memory for an operating system: ACPI tables, MP table, SMBIOS, BIOS data,
 * and services in real mode that decline.
 *
 * firmware_install() writes it all into guest RAM before the kernel is loaded; the area is reserved
 * in the E820 map. Identity strings are VirtualBox's, since guests and their tools key on them.
 *
 *   0x00000  real mode's interrupt vectors
 *   0x00400  BIOS data area: serial ports, base memory, extended BIOS data area
 *   0x9fc00  extended BIOS data area
 *   0xe0000  ACPI tables
 *   0xf0000  root pointer, MP table, SMBIOS
 *   0xfff00  services: INT 11h and 12h answer, the PICs' interrupts are ended, all else is declined
 *   0xffff0  a reset vector that resets the machine through the 8042
 */
#ifndef VMM_ACPI_FIRMWARE_H
#define VMM_ACPI_FIRMWARE_H

#include "vmm/memory.h"
#include "vmm/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FIRMWARE_AREA      0xe0000u
#define FIRMWARE_AREA_SIZE 0x20000u
#define FIRMWARE_UPPER     0xf0000u // the half where legacy searches look
#define FIRMWARE_CPUS_MAX  64u

/* What the tables say of the machine beside what vmm/devices/pm.h has; the devices are made to
 * match. */
#define FIRMWARE_RESET_PORT   0xcf9u
#define FIRMWARE_RESET_VALUE  0x06u
#define FIRMWARE_IOAPIC       0xfec00000u
#define FIRMWARE_IOAPIC_ID    0u // apart from those of local APICs: they share no bus
#define FIRMWARE_LAPIC        0xfee00000u
#define FIRMWARE_HPET         0xfed00000u
#define FIRMWARE_PCI_HOLE_END 0xfebfffffu

/* A PCI interrupt pin (0 is INTA#) of a slot: its IOAPIC input, and its 8259 line. */
static inline uint8_t firmware_pci_gsi(unsigned slot, unsigned pin)
{
    return (uint8_t)(16 + ((slot + pin) & 7));
}
static inline uint8_t firmware_pci_irq(unsigned slot, unsigned pin)
{
    return (slot - 1 + pin) & 2 ? 11 : 10; // PIRQA, B: 10; PIRQC, D: 11
}

struct firmware_config {
    unsigned cpus;          // local APIC identifiers are 0 to cpus - 1
    uint64_t memory;        // bytes of RAM
    uint64_t low_end;       // end of RAM below 4 GiB: PCI windows begin there
    bool     hpet;
    bool     com2;
    uint32_t cpu_signature; // CPUID leaf 1, EAX and EDX
    uint32_t cpu_features;
    uint8_t  uuid[16];      // as SMBIOS orders it; all zero: none
};

/* Into a buffer that stands for guest-physical FIRMWARE_AREA. `rsdp`: the root pointer's
 * guest-physical address. */
enum vmm_status firmware_build(uint8_t area[FIRMWARE_AREA_SIZE],
                               const struct firmware_config *config, uint64_t *rsdp) VMM_MUST_CHECK;
enum vmm_status firmware_install(struct memory *memory, const struct firmware_config *config,
                                 uint64_t *rsdp) VMM_MUST_CHECK;

#endif
