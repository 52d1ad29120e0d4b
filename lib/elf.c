/* SPDX-License-Identifier: MIT */
/*
 * The ELF reader. Headers are copied out of the image, so that neither alignment nor class
 * matters after that.
 */
#include "lib/elf.h"

#include "lib/align.h"
#include "lib/string.h"

struct elf32_header {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version, entry, program_table, section_table, flags;
    uint16_t header_size, program_size, program_count, section_size, section_count, names;
};
_Static_assert(sizeof(struct elf32_header) == 52, "gABI figure 4-3");

struct elf64_header {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, program_table, section_table;
    uint32_t flags;
    uint16_t header_size, program_size, program_count, section_size, section_count, names;
};
_Static_assert(sizeof(struct elf64_header) == 64, "gABI figure 4-3");

struct elf32_program {
    uint32_t type, offset, virtual, physical, file_size, memory_size, flags, align;
};
_Static_assert(sizeof(struct elf32_program) == 32, "gABI figure 5-1");

struct elf64_program {
    uint32_t type, flags;
    uint64_t offset, virtual, physical, file_size, memory_size, align;
};
_Static_assert(sizeof(struct elf64_program) == 56, "gABI figure 5-1");

struct note_header {
    uint32_t name_size, data_size, type;
};
_Static_assert(sizeof(struct note_header) == 12, "gABI figure 5-3");

enum {
    IDENT_CLASS = 4, // index in ident
    IDENT_DATA = 5,
    IDENT_VERSION = 6,

    CLASS_32 = 1,
    CLASS_64 = 2,
    DATA_LITTLE_ENDIAN = 1,
    VERSION_CURRENT = 1
};

static size_t program_size(const struct elf *elf)
{
    return elf->is_64 ? sizeof(struct elf64_program) : sizeof(struct elf32_program);
}

/* Take the fields from a header of either class; false if an entry size is wrong. */
static bool read_header(struct elf *elf)
{
    struct elf64_header h64;
    struct elf32_header h32;

    if (elf->is_64) {
        memcpy(&h64, elf->data, sizeof(h64));
        elf->type = h64.type;
        elf->machine = h64.machine;
        elf->entry = h64.entry;
        elf->table = h64.program_table;
        elf->count = h64.program_count;
        return h64.version == VERSION_CURRENT &&
               (h64.program_size == program_size(elf) || h64.program_count == 0);
    }
    memcpy(&h32, elf->data, sizeof(h32));
    elf->type = h32.type;
    elf->machine = h32.machine;
    elf->entry = h32.entry;
    elf->table = h32.program_table;
    elf->count = h32.program_count;
    return h32.version == VERSION_CURRENT &&
           (h32.program_size == program_size(elf) || h32.program_count == 0);
}

enum elf_status elf_open(struct elf *elf, const void *image, size_t size)
{
    static const uint8_t magic[4] = { 0x7f, 'E', 'L', 'F' };
    uint8_t ident[16];

    *elf = (struct elf){ .data = image, .size = size };
    if (size < sizeof(struct elf32_header))
        return ELF_TOO_SHORT;
    memcpy(ident, image, sizeof(ident));
    if (memcmp(ident, magic, sizeof(magic)) != 0)
        return ELF_NOT_ELF;
    if ((ident[IDENT_CLASS] != CLASS_32 && ident[IDENT_CLASS] != CLASS_64) ||
        ident[IDENT_DATA] != DATA_LITTLE_ENDIAN || ident[IDENT_VERSION] != VERSION_CURRENT)
        return ELF_BAD_KIND;
    elf->is_64 = ident[IDENT_CLASS] == CLASS_64;
    if (elf->is_64 && size < sizeof(struct elf64_header))
        return ELF_TOO_SHORT;
    if (!read_header(elf))
        return ELF_BAD_HEADER;
    if (!range_fits(elf->table, elf->count * program_size(elf), size))
        return ELF_BAD_TABLE;
    return ELF_OK;
}

static void read_program_header(const struct elf *elf, unsigned index, struct elf_segment *segment)
{
    const uint8_t *entry = elf->data + elf->table + index * program_size(elf);
    struct elf64_program p64;
    struct elf32_program p32;

    if (elf->is_64) {
        memcpy(&p64, entry, sizeof(p64));
    } else {
        memcpy(&p32, entry, sizeof(p32));
        p64 = (struct elf64_program){
            p32.type, p32.flags, p32.offset, p32.virtual, p32.physical, p32.file_size,
            p32.memory_size, p32.align,
        };
    }
    *segment = (struct elf_segment){
        .type = p64.type,
        .flags = p64.flags,
        .offset = p64.offset,
        .file_size = p64.file_size,
        .virtual = p64.virtual,
        .physical = p64.physical,
        .memory_size = p64.memory_size,
        .align = p64.align ? p64.align : 1,
    };
}

enum elf_status elf_segment(const struct elf *elf, unsigned index, struct elf_segment *segment)
{
    uint64_t limit = elf->is_64 ? UINT64_MAX : UINT32_MAX;
    bool occupies_memory;

    if (index >= elf->count)
        return ELF_NONE;
    read_program_header(elf, index, segment);
    occupies_memory = segment->type == ELF_SEGMENT_LOAD || segment->type == ELF_SEGMENT_TLS;
    if (!range_fits(segment->offset, segment->file_size, elf->size) ||
        !is_power_of_two(segment->align))
        return ELF_BAD_SEGMENT;
    if (occupies_memory && (segment->file_size > segment->memory_size ||
                            !range_fits(segment->virtual, segment->memory_size, limit) ||
                            !range_fits(segment->physical, segment->memory_size, limit)))
        return ELF_BAD_SEGMENT;
    return ELF_OK;
}

enum elf_status elf_find_note(const struct elf *elf, const struct elf_segment *segment,
                              const char *owner, uint32_t type, struct elf_note *note)
{
    const uint8_t *at = elf->data + segment->offset;
    uint64_t left = segment->file_size;

    while (left >= sizeof(struct note_header)) {
        struct note_header header;
        uint64_t data_offset, size;

        memcpy(&header, at, sizeof(header));
        data_offset = sizeof(header) + ALIGN_UP((uint64_t)header.name_size, 4);
        if (!range_fits(data_offset, header.data_size, left))
            return ELF_NONE;
        *note = (struct elf_note){
            .name = (const char *)at + sizeof(header),
            .data = at + data_offset,
            .name_size = header.name_size,
            .data_size = header.data_size,
            .type = header.type,
        };
        if (note->type == type && note->name_size == strlen(owner) + 1 &&
            memcmp(note->name, owner, note->name_size) == 0)
            return ELF_OK;
        size = MIN(data_offset + ALIGN_UP((uint64_t)header.data_size, 4), left);
        at += size;
        left -= size;
    }
    return ELF_NONE;
}

const char *elf_status_text(enum elf_status status)
{
    static const char *const texts[] = {
        [ELF_OK] = "the image is sound",
        [ELF_TOO_SHORT] = "the image is too short for an ELF header",
        [ELF_NOT_ELF] = "the image is not ELF: wrong magic number",
        [ELF_BAD_KIND] = "the ELF class, byte order or version is not supported",
        [ELF_BAD_HEADER] = "the ELF header has a wrong version or entry size",
        [ELF_BAD_TABLE] = "the program headers lie outside of the image",
        [ELF_BAD_SEGMENT] = "a segment lies outside of the image or of the address space",
        [ELF_NONE] = "no such segment or note",
    };

    return (size_t)status < ARRAY_SIZE(texts) ? texts[status] : "unknown status";
}
