/* SPDX-License-Identifier: MIT */
/*
 * lib/elf.h: sound images of both classes (with <elf.h> of the C library as the judge of
 * layouts), each error, and mutations.
 */
#include "lib/elf.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/random.h"
#include "tests/unit/tap.h"

struct image64 {
    Elf64_Ehdr header;
    Elf64_Phdr segments[2];
    Elf64_Nhdr note;
    char name[4];
    uint32_t value;
};

struct image32 {
    Elf32_Ehdr header;
    Elf32_Phdr segments[1];
    char contents[16];
};

static struct image64 sound64(void)
{
    return (struct image64){
        .header = {
            .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
            .e_type = ET_EXEC, .e_machine = EM_X86_64, .e_version = EV_CURRENT, .e_entry = 0x401000,
            .e_phoff = offsetof(struct image64, segments), .e_ehsize = sizeof(Elf64_Ehdr),
            .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 2,
        },
        .segments = {
            { .p_type = PT_LOAD, .p_flags = PF_R | PF_X, .p_offset = 0, .p_vaddr = 0x400000,
              .p_paddr = 0x100000, .p_filesz = sizeof(struct image64),
              .p_memsz = 0x2000, .p_align = 0x1000 },
            { .p_type = PT_NOTE, .p_flags = PF_R, .p_offset = offsetof(struct image64, note),
              .p_filesz = sizeof(Elf64_Nhdr) + 8, .p_align = 4 },
        },
        .note = { .n_namesz = 4, .n_descsz = 4, .n_type = 18 },
        .name = "Xen",
        .value = 0x1000abcd,
    };
}

static struct image32 sound32(void)
{
    return (struct image32){
        .header = {
            .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT },
            .e_type = ET_EXEC, .e_machine = EM_386, .e_version = EV_CURRENT, .e_entry = 0x100020,
            .e_phoff = offsetof(struct image32, segments), .e_ehsize = sizeof(Elf32_Ehdr),
            .e_phentsize = sizeof(Elf32_Phdr), .e_phnum = 1,
        },
        .segments = {
            { .p_type = PT_LOAD, .p_flags = PF_R | PF_W,
              .p_offset = offsetof(struct image32, contents),
              .p_vaddr = 0xfffff000, .p_paddr = 0x200000, .p_filesz = 16, .p_memsz = 32 },
        },
    };
}

static void check_64(void)
{
    struct image64 image = sound64();
    struct elf elf;
    struct elf_segment segment;
    struct elf_note note;
    uint32_t value;

    ok(elf_open(&elf, &image, sizeof(image)) == ELF_OK, "a sound ELF64 image");
    ok(elf.is_64 && elf.type == ELF_TYPE_EXEC && elf.machine == ELF_MACHINE_X86_64 &&
       elf.count == 2, "its kind");
    is_u64(elf.entry, 0x401000, "its entry");
    ok(elf_segment(&elf, 0, &segment) == ELF_OK && segment.type == ELF_SEGMENT_LOAD &&
       segment.flags == (ELF_FLAG_READ | ELF_FLAG_EXECUTE) && segment.offset == 0 &&
       segment.virtual == 0x400000 && segment.physical == 0x100000 &&
       segment.file_size == sizeof(image) && segment.memory_size == 0x2000 &&
       segment.align == 0x1000, "its first segment");
    ok(elf_segment(&elf, 2, &segment) == ELF_NONE, "there is no third");
    ok(elf_segment(&elf, 1, &segment) == ELF_OK && segment.type == ELF_SEGMENT_NOTE, "its notes");
    ok(elf_find_note(&elf, &segment, "Xen", 18, &note) == ELF_OK && note.data_size == 4,
       "the note is found");
    memcpy(&value, note.data, 4);
    is_u64(value, 0x1000abcd, "its value");
    ok(elf_find_note(&elf, &segment, "Xen", 17, &note) == ELF_NONE, "no note of another type");
    ok(elf_find_note(&elf, &segment, "Xe", 18, &note) == ELF_NONE, "no note of another owner");
}

static void check_32(void)
{
    struct image32 image = sound32();
    struct elf elf;
    struct elf_segment segment;

    ok(elf_open(&elf, &image, sizeof(image)) == ELF_OK && !elf.is_64 &&
       elf.machine == ELF_MACHINE_386, "a sound ELF32 image");
    is_u64(elf.entry, 0x100020, "its entry");
    ok(elf_segment(&elf, 0, &segment) == ELF_OK && segment.virtual == 0xfffff000 &&
       segment.physical == 0x200000 && segment.file_size == 16 && segment.memory_size == 32 &&
       segment.align == 1 && segment.flags == (ELF_FLAG_READ | ELF_FLAG_WRITE), "its segment");
    image.segments[0].p_memsz = 0x1001;
    ok(elf_segment(&elf, 0, &segment) == ELF_BAD_SEGMENT, "a segment beyond 4 GiB in ELF32");
}

/* Two notes; the last one's data ends with the segment, without padding. */
static void check_notes(void)
{
    static const uint8_t notes[] = {
        2, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0, 'A', 0, 0, 0, 1, 2, 3, 4, 5, 0, 0, 0,
        2, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 'A', 0, 0, 0, 6, 7, 8,
    };
    uint8_t *copy = malloc(sizeof(notes)); // exactly as large, for the sanitizer
    struct elf elf = { .data = copy, .size = sizeof(notes) };
    struct elf_segment segment = { .type = ELF_SEGMENT_NOTE, .file_size = sizeof(notes) };
    struct elf_note note;

    memcpy(copy, notes, sizeof(notes));
    ok(elf_find_note(&elf, &segment, "A", 1, &note) == ELF_OK && note.data_size == 5 &&
       memcmp(note.data, notes + 16, 5) == 0, "the first of two notes");
    ok(elf_find_note(&elf, &segment, "A", 2, &note) == ELF_OK && note.data_size == 3 &&
       memcmp(note.data, notes + 40, 3) == 0, "the second one, at the very end");
    ok(elf_find_note(&elf, &segment, "A", 3, &note) == ELF_NONE, "there is no third one");
    segment.file_size--;
    ok(elf_find_note(&elf, &segment, "A", 2, &note) == ELF_NONE, "a note that is cut off");
    free(copy);
}

/* Open with a piece of the header changed. */
#define OPEN_WITH(change, size, expected) \
    do { \
        struct image64 image = sound64(); \
        struct elf elf; \
        change; \
        is_str(elf_status_text(elf_open(&elf, &image, size)), elf_status_text(expected), #change); \
    } while (0)

#define SEGMENT_WITH(change) \
    do { \
        struct image64 image = sound64(); \
        struct elf elf; \
        struct elf_segment segment; \
        change; \
        ok(elf_open(&elf, &image, sizeof(image)) == ELF_OK && \
           elf_segment(&elf, 0, &segment) == ELF_BAD_SEGMENT, "%s", #change); \
    } while (0)

static void check_errors(void)
{
    OPEN_WITH(, sizeof(image), ELF_OK);
    OPEN_WITH(, 0, ELF_TOO_SHORT);
    OPEN_WITH(, 51, ELF_TOO_SHORT);
    OPEN_WITH(, 63, ELF_TOO_SHORT);
    OPEN_WITH(, 64 + 2 * 56 - 1, ELF_BAD_TABLE);
    OPEN_WITH(image.header.e_ident[1] = 'e', sizeof(image), ELF_NOT_ELF);
    OPEN_WITH(image.header.e_ident[EI_CLASS] = 3, sizeof(image), ELF_BAD_KIND);
    OPEN_WITH(image.header.e_ident[EI_DATA] = ELFDATA2MSB, sizeof(image), ELF_BAD_KIND);
    OPEN_WITH(image.header.e_ident[EI_VERSION] = 0, sizeof(image), ELF_BAD_KIND);
    OPEN_WITH(image.header.e_version = 2, sizeof(image), ELF_BAD_HEADER);
    OPEN_WITH(image.header.e_phentsize = 32, sizeof(image), ELF_BAD_HEADER);
    OPEN_WITH(image.header.e_phoff = sizeof(image) - 111, sizeof(image), ELF_BAD_TABLE);
    OPEN_WITH(image.header.e_phoff = UINT64_MAX - 8, sizeof(image), ELF_BAD_TABLE);
    OPEN_WITH(image.header.e_phnum = 0xffff, sizeof(image), ELF_BAD_TABLE);
    SEGMENT_WITH(image.segments[0].p_offset = 1);
    SEGMENT_WITH(image.segments[0].p_offset = UINT64_MAX);
    SEGMENT_WITH(image.segments[0].p_filesz = UINT64_MAX);
    SEGMENT_WITH(image.segments[0].p_memsz = 1);
    SEGMENT_WITH(image.segments[0].p_vaddr = UINT64_MAX - 0xfff);
    SEGMENT_WITH(image.segments[0].p_paddr = UINT64_MAX - 0xfff);
    SEGMENT_WITH(image.segments[0].p_align = 3);
}

/* Read everything a loader would; the sanitizers watch. Returns the number of sound segments. */
static unsigned load_all(const uint8_t *image, size_t size)
{
    struct elf elf;
    unsigned sound = 0;

    if (elf_open(&elf, image, size) != ELF_OK)
        return 0;
    for (unsigned i = 0; i < elf.count; i++) {
        struct elf_segment segment;
        struct elf_note note;
        uint8_t sum = 0;

        if (elf_segment(&elf, i, &segment) != ELF_OK)
            continue;
        sound++;
        for (uint64_t at = 0; at < segment.file_size; at++)
            sum = (uint8_t)(sum + image[segment.offset + at]);
        if (elf_find_note(&elf, &segment, "Xen", sum, &note) == ELF_OK && note.data_size > 0)
            sound += ((const uint8_t *)note.data)[note.data_size - 1] & 1;
    }
    return sound;
}

static void check_mutations(void)
{
    uint64_t seed = 6;
    unsigned sound = 0, refused = 0;

    for (unsigned round = 0; round < 100000; round++) {
        struct image64 image = sound64();
        size_t cut = random_below(&seed, sizeof(image) + 1);
        size_t size = random_below(&seed, 8) ? sizeof(image) : cut;
        uint8_t *copy = malloc(size ? size : 1); // exactly as large, for the sanitizer
        unsigned found;

        memcpy(copy, &image, size);
        for (unsigned changes = (unsigned)random_below(&seed, 4); changes && size; changes--)
            copy[random_below(&seed, size)] |= (uint8_t)random_u64(&seed);
        found = load_all(copy, size);
        sound += found > 0;
        refused += found == 0;
        free(copy);
    }
    ok(sound > 1000 && refused > 1000, "mutated images are read or refused");
}

int main(void)
{
    check_64();
    check_32();
    check_notes();
    check_errors();
    check_mutations();
    return tap_done();
}
