/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: whatever lib/elf.h hands out lies inside the image, and a segment inside the
 * address space.
 */
#include <stdlib.h>

#include "lib/elf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_inside(const struct elf *elf, const void *piece, uint64_t size)
{
    uint64_t offset = (uint64_t)((const uint8_t *)piece - elf->data);

    require(offset <= elf->size && size <= elf->size - offset);
}

static void check_note(const struct elf *elf, const struct elf_segment *segment)
{
    struct elf_note note;

    if (elf_find_note(elf, segment, "Xen", 18, &note) == ELF_OK) {
        check_inside(elf, note.name, note.name_size);
        check_inside(elf, note.data, note.data_size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct elf elf;

    if (elf_open(&elf, data, size) != ELF_OK)
        return 0;
    for (unsigned i = 0; i < elf.count; i++) {
        struct elf_segment segment;

        if (elf_segment(&elf, i, &segment) != ELF_OK)
            continue;
        check_inside(&elf, data + segment.offset, segment.file_size);
        if (segment.type == ELF_SEGMENT_LOAD) {
            require(segment.file_size <= segment.memory_size);
            require(segment.virtual + segment.memory_size >= segment.virtual);
            require(segment.physical + segment.memory_size >= segment.physical);
        }
        if (segment.type == ELF_SEGMENT_NOTE)
            check_note(&elf, &segment);
    }
    return 0;
}
