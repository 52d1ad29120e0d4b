/* SPDX-License-Identifier: MIT */
/* The MultiProcessor Specification 1.4 table, for systems that use APICs without ACPI. */
#ifndef VMM_ACPI_MPTABLE_H
#define VMM_ACPI_MPTABLE_H

#include "vmm/acpi/firmware.h"

/* Floating pointer, then the configuration table, at `to`, which stands for guest-physical
 * `address` (16-byte aligned). */
bool mptable_build(uint8_t *to, uint32_t address, size_t room,
                   const struct firmware_config *config) VMM_MUST_CHECK;

#endif
