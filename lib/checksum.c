/* SPDX-License-Identifier: MIT */
/* Checksums over bytes. */
#include "lib/checksum.h"

uint8_t checksum_bytes(const void *data, size_t size)
{
    const uint8_t *byte = data;
    uint8_t sum = 0;

    while (size--)
        sum = (uint8_t)(sum + *byte++);
    return sum;
}

/* A table of 16 entries takes a byte in two steps: small, and fast enough for headers. */
uint32_t checksum_crc32(uint32_t crc, const void *data, size_t size)
{
    static const uint32_t table[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
        0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
        0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };
    const uint8_t *byte = data;

    crc = ~crc;
    while (size--) {
        crc ^= *byte++;
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}
