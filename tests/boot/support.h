/* SPDX-License-Identifier: MIT */
/*
 * For the tests of loaders, tables and policies: guest RAM without a host, a settable clock, and
 * small kernel images of each format.
 */
#ifndef TESTS_BOOT_SUPPORT_H
#define TESTS_BOOT_SUPPORT_H

#include "vmm/boot/boot.h"

struct host {
    uint64_t ticks, khz, wall_ns;
    unsigned lines; // logged
};

/* Guest RAM of this size, in chunks of `chunk` bytes (0: one); ends the test program if there is
 * none. */
void support_memory(struct memory *memory, uint64_t size, uint64_t chunk);
void support_memory_free(struct memory *memory);

#define IMAGE_MAX 8192u

struct image {
    uint8_t bytes[IMAGE_MAX];
    size_t  size;
    size_t  headers; // where mutation pays: the first so many bytes
};

/* Payload bytes are 0xc3 in all of them. */
void image_bzimage(struct image *image, unsigned version, bool relocatable);
void image_multiboot_flat(struct image *image);
/* ELF32 or ELF64 at 1 MiB with 0x1000 bytes of bss, virtual = physical + 0xc0000000 for 32 bits. */
void image_multiboot_elf(struct image *image, bool is_64);
enum image_mb2 { MB2_ELF, MB2_FLAT, MB2_RELOCATABLE, MB2_EFI };
void image_multiboot2(struct image *image, enum image_mb2 kind);
void image_pvh(struct image *image);

void put16(uint8_t *p, uint16_t v);
void put32(uint8_t *p, uint32_t v);
void put64(uint8_t *p, uint64_t v);
uint32_t get32(const uint8_t *p);
uint64_t get64(const uint8_t *p);
/* From guest memory; all ones where there is none. */
uint32_t guest32(const struct memory *memory, uint64_t gpa);
uint64_t guest64(const struct memory *memory, uint64_t gpa);

#endif
