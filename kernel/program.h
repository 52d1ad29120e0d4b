/* SPDX-License-Identifier: MIT */
/*
 * The root program: a static ELF64 image for x86-64 (System V ABI, gABI 4.1, chapters 4 and 5), as
 * the boot loader brought it.
 */
#ifndef KERNEL_PROGRAM_H
#define KERNEL_PROGRAM_H

#include <stdint.h>

#define PROGRAM_LOAD    1u // p_type
#define PROGRAM_EXECUTE 1u // p_flags
#define PROGRAM_WRITE   2u

struct program_segment {
    uint32_t type, flags;
    uint64_t offset, virtual, physical, file_size, memory_size, align;
};
_Static_assert(sizeof(struct program_segment) == 56, "Elf64_Phdr");

struct program {
    const char *image;
    const struct program_segment *segments;
    unsigned count;
    uint64_t entry;
};

/*
 * All checks: whatever a LOAD segment names is inside the image, and inside user space. Returns
 * what is wrong, or NULL.
 */
const char *program_open(struct program *program, const void *image, uint64_t size);

#endif
