/* SPDX-License-Identifier: MIT */
/*
 * The IOAPIC: 24 pins, version 0x20 with the EOI register (Intel 82093AA data sheet; EOI as in
 * the ICH data sheets). Under the machine lock; messages go to the local APICs through the APIC
 * bus, which needs no lock.
 */
#ifndef VMM_DEVICES_IOAPIC_H
#define VMM_DEVICES_IOAPIC_H

#include "vmm/bus.h"
#include "vmm/device.h"
#include "vmm/devices/lapic.h"

#define IOAPIC_BASE 0xfec00000ull
#define IOAPIC_PINS 24u

struct ioapic {
    struct device device;
    /* State. */
    uint8_t  select;
    uint8_t  id;
    uint32_t lines;                  // levels of the pins
    uint64_t entry[IOAPIC_PINS];     // redirection table
    /* Wiring. */
    struct bus_range range;
    struct host_mutex *lock;
    struct apic_bus *bus;
};

/*
 * Also becomes the one the bus tells of the end of interrupts. `id` is its APIC identifier, as in
 * MADT.
 */
enum vmm_status ioapic_init(struct ioapic *ioapic, struct memory_bus *memory,
                            struct host_mutex *lock, struct apic_bus *bus,
                            uint8_t id) VMM_MUST_CHECK;
void ioapic_set(void *ioapic, unsigned pin, bool level);
/* End of a level-triggered interrupt. Takes the machine lock: not to be called with it held. */
void ioapic_eoi(void *ioapic, uint8_t vector);

#endif
