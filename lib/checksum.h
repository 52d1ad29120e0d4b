/* SPDX-License-Identifier: MIT */
/*
 * Checksums over bytes: ACPI's and SMBIOS's byte sum, and CRC-32 as in GPT, gzip and PNG (ISO
 * 3309, reflected 0xedb88320).
 */
#ifndef LIB_CHECKSUM_H
#define LIB_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* The sum of all bytes modulo 256: 0 over a valid ACPI table (ACPI 6.5, 5.2.3). */
uint8_t checksum_bytes(const void *data, size_t size);

/* CRC-32 of data that follows what `crc` is the CRC of; 0 to begin. */
uint32_t checksum_crc32(uint32_t crc, const void *data, size_t size);

#endif
