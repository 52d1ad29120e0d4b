/* SPDX-License-Identifier: MIT */
/* The DSDT's byte code: processors, PCI root with its windows and interrupt routing, ISA devices,
 * soft off. */
#ifndef VMM_ACPI_DSDT_H
#define VMM_ACPI_DSDT_H

#include "vmm/acpi/firmware.h"

/* What follows the table's header. False if it does not fit. */
bool dsdt_body(uint8_t *buffer, size_t room, const struct firmware_config *config,
               size_t *size) VMM_MUST_CHECK;

#endif
