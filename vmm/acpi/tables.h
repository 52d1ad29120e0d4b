/* SPDX-License-Identifier: MIT */
/*
 * The static ACPI tables (ACPI 6.3, section 5.2): RSDP, RSDT, XSDT, FADT, FACS, MADT, and HPET
 * where there is one; with the DSDT. The root pointer comes right after the tables' room, at
 * FIRMWARE_UPPER.
 */
#ifndef VMM_ACPI_TABLES_H
#define VMM_ACPI_TABLES_H

#include "vmm/acpi/firmware.h"

struct acpi_header {
    char     signature[4];
    uint32_t length;
    uint8_t  revision;
    uint8_t  checksum;
    char     oem_id[6];
    char     oem_table_id[8];
    uint32_t oem_revision;
    char     creator_id[4];
    uint32_t creator_revision;
} __attribute__((packed));
_Static_assert(sizeof(struct acpi_header) == 36, "ACPI 5.2.6");

/* `area` stands for FIRMWARE_AREA. False if the tables do not fit `room`. */
bool tables_build(uint8_t *area, size_t room, const struct firmware_config *config,
                  uint64_t *rsdp) VMM_MUST_CHECK;
/* Fills the header of a complete table of `length` bytes, its checksum last. */
void tables_header(void *table, const char *signature, uint8_t revision, uint32_t length);

#endif
