/* SPDX-License-Identifier: MIT */
/* Checks of the root program's ELF headers. */
#include "kernel/program.h"

#include "abi/hypercall.h"
#include "lib/align.h"

#define ELF64_LSB      0x010102464c457full // magic, 64-bit, little endian, version 1; no ABI
#define EXEC_X86_64    0x3e0002u           // e_type EXEC, e_machine

struct header {
    uint64_t ident[2];
    uint32_t type_machine, version;
    uint64_t entry, segments, sections;
    uint32_t flags;
    uint16_t header_size, segment_size, segment_count, rest[3];
};
_Static_assert(sizeof(struct header) == 64, "Elf64_Ehdr");

const char *program_open(struct program *program, const void *image, uint64_t size)
{
    const struct header *h = image;

    if (!image || size < sizeof *h || (h->ident[0] & 0xffffffffffffff) != ELF64_LSB ||
        h->type_machine != EXEC_X86_64)
        return "it is not a static ELF64 program";
    if (h->segment_size != sizeof(struct program_segment) || h->segments % 8 ||
        !range_fits(h->segments, h->segment_count * sizeof(struct program_segment), size))
        return "its program headers are not inside";
    *program = (struct program){image, (const void *)((const char *)image + h->segments),
                                h->segment_count, h->entry};
    for (unsigned i = 0; i < program->count; i++) {
        const struct program_segment *s = &program->segments[i];
        if (s->type == PROGRAM_LOAD &&
            (!range_fits(s->offset, s->file_size, size) || s->file_size > s->memory_size ||
             !range_fits(s->virtual, s->memory_size, ABI_USER_END)))
            return "a segment is not inside the image or not in user space";
    }
    return h->entry < ABI_USER_END ? NULL : "its entry is not in user space";
}
