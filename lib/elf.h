/* SPDX-License-Identifier: MIT */
/*
 * Reading an ELF program image, ELF32 or ELF64, little endian, from a bounded piece of memory
 * (System V ABI, gABI 4.1, chapters 4 and 5). The image may hold anything: every offset and size
 * is checked before it is used, and what a segment says has been checked when it is handed out.
 * Only headers are read, each once; the image need not be aligned. It must not change between
 * elf_open and the last use: copy it first if another can write to it.
 *
 * Addresses and sizes are in bytes. Nothing is allocated; struct elf refers to the image.
 */
#ifndef LIB_ELF_H
#define LIB_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum elf_status {
    ELF_OK,
    ELF_TOO_SHORT,       // the ELF header does not fit into the image
    ELF_NOT_ELF,         // wrong magic number
    ELF_BAD_KIND,        // class, byte order or version that is not supported
    ELF_BAD_HEADER,      // an entry size in the header is wrong
    ELF_BAD_TABLE,       // the program header table lies outside of the image
    ELF_BAD_SEGMENT,
    // a segment lies outside of the image, wraps, or is larger in the file than in memory
    ELF_NONE             // no such segment or note
};

enum {
    ELF_TYPE_EXEC = 2, // e_type
    ELF_TYPE_DYN  = 3,

    ELF_MACHINE_386    = 3, // e_machine
    ELF_MACHINE_X86_64 = 62,

    ELF_SEGMENT_LOAD = 1, // p_type
    ELF_SEGMENT_NOTE = 4,
    ELF_SEGMENT_TLS  = 7,

    ELF_FLAG_EXECUTE = 1, // p_flags
    ELF_FLAG_WRITE   = 2,
    ELF_FLAG_READ    = 4
};

struct elf {
    const uint8_t *data;
    size_t size;
    bool is_64;
    uint16_t type;
    uint16_t machine;
    uint64_t entry;
    uint64_t table;   // offset of the program headers, all of them inside the image
    unsigned count;   // number of program headers
};

struct elf_segment {
    uint32_t type;
    uint32_t flags;
    uint64_t offset;      // of the contents in the image
    uint64_t file_size;   // offset + file_size <= size of the image
    uint64_t virtual;
    uint64_t physical;
    uint64_t memory_size; // for LOAD and TLS: >= file_size; address + memory_size does not wrap
    uint64_t align;       // a power of two, at least 1
};

struct elf_note {
    const char *name;   // name_size bytes in the image
    const void *data;   // data_size bytes in the image
    uint32_t name_size; // with its terminator
    uint32_t data_size;
    uint32_t type;
};

/* Check the headers of an image. */
__attribute__((warn_unused_result))
enum elf_status elf_open(struct elf *elf, const void *image, size_t size);

/* Program header `index`. */
__attribute__((warn_unused_result))
enum elf_status elf_segment(const struct elf *elf, unsigned index, struct elf_segment *segment);

/*
 * The note of this owner (a terminated string) and type in a NOTE segment, aligned to 4 bytes as
 * notes are. The first that matches; ELF_NONE also when the notes are broken before it.
 */
__attribute__((warn_unused_result))
enum elf_status elf_find_note(const struct elf *elf, const struct elf_segment *segment,
                              const char *owner, uint32_t type, struct elf_note *note);

/* A sentence for a message. */
const char *elf_status_text(enum elf_status status);

#endif
