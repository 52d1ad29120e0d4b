/* SPDX-License-Identifier: MIT */
/*
 * PCI bus 0 behind configuration mechanism 1 (PCI Local Bus 3.0, 3.2.2.3.2), with the functions
 * of a 440FX PC: host bridge, PIIX3 ISA bridge, PIIX4 power management. Under the machine lock.
 *
 * A function is 256 bytes of configuration space with a mask of the bits that the guest can
 * write. Base address registers of these three functions do not exist; the PIIX4's PM base is
 * fixed.
 */
#ifndef VMM_DEVICES_PCI_H
#define VMM_DEVICES_PCI_H

#include "vmm/bus.h"
#include "vmm/device.h"

#define PCI_FUNCTIONS 3u

struct pci_function {
    struct device device;
    /* State. */
    uint8_t config[256];
    /* Wiring. */
    uint8_t devfn;
    uint8_t writable[256];
    uint8_t initial[256];
};

struct pci {
    struct device device;
    uint32_t address;   // CONFIG_ADDRESS
    struct pci_function function[PCI_FUNCTIONS];
    struct bus_range range;
    void (*reset_control)(void *context, uint8_t value); // port 0xcf9
    void *context;
    uint8_t reset_value;
};

enum vmm_status pci_init(struct pci *pci, struct port_bus *ports, struct host_mutex *lock,
                         void (*reset_control)(void *context, uint8_t value),
                         void *context) VMM_MUST_CHECK;

/*
 * After pci_init(): the machine starts from a ROM, so the 440FX's PAM registers say at first that
 * reads below 1 MiB are of the ROM. Firmware that finds it so copies all of itself to RAM there; the
 * area is RAM in any case.
 */
void pci_begin_with_rom(struct pci *pci);

#endif
