/* SPDX-License-Identifier: MIT */
/*
 * SMBIOS 2.5 (DSP0134): firmware, system, board, chassis, processor, memory. The strings are
 * VirtualBox's: systemd, cloud-init and dracut know the machine by them.
 */
#ifndef VMM_ACPI_SMBIOS_H
#define VMM_ACPI_SMBIOS_H

#include "vmm/acpi/firmware.h"

/* The entry point, then the structures, at `to`, which stands for guest-physical `address` (16-byte
 * aligned). */
bool smbios_build(uint8_t *to, uint32_t address, size_t room,
                  const struct firmware_config *config) VMM_MUST_CHECK;

#endif
