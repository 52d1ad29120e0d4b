/* SPDX-License-Identifier: MIT */
/*
 * I/O APICs (Intel 82093AA data sheet, 3.2): pins are numbered by global system interrupt, all masked at the start. The caller serializes.
 */
#ifndef KERNEL_IOAPIC_H
#define KERNEL_IOAPIC_H

#include "kernel/boot.h"

#include <stdbool.h>

struct acpi_madt;

/* Maps and masks the I/O APICs of the MADT, and takes their pages out of what user level can have. Returns the number of pins. */
unsigned ioapic_init(struct boot_info *boot, const struct acpi_madt *madt);

/* False: no such pin. rtl: low half of the redirection entry; apic_id: its destination. */
bool ioapic_set(unsigned pin, uint32_t rtl, uint32_t apic_id);
void ioapic_set_mask(unsigned pin, bool masked);

#endif
