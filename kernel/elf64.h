/* SPDX-License-Identifier: MIT */
/*
 * The two structures of ELF-64 (System V ABI) that loading the root program takes. lib/elf.h knows far more, and every line of it would be
 * part of what all machines trust.
 */
#ifndef KERNEL_ELF64_H
#define KERNEL_ELF64_H

#include <stdint.h>

#define ELF64_MAGIC   0x00010102464c457full // ELF, 64-bit, little-endian, version 1, System V
#define ELF64_PROGRAM 0x003e0002u           // ET_EXEC, EM_X86_64
#define ELF64_LOAD    1u
#define ELF64_EXECUTE 1u
#define ELF64_WRITE   2u

struct elf64_header {
    uint64_t magic, pad;
    uint32_t kind, version;
    uint64_t entry, segments, sections;
    uint32_t flags;
    uint16_t header_size, segment_size, segment_count, section[3];
};
_Static_assert(sizeof(struct elf64_header) == 64, "System V ABI");

struct elf64_segment {
    uint32_t type, flags;
    uint64_t offset, virtual, physical, file_size, memory_size, align;
};
_Static_assert(sizeof(struct elf64_segment) == 56, "System V ABI");

#endif
