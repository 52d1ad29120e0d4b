/* SPDX-License-Identifier: MIT */
/*
 * Multiboot 1 (specification 0.6.96): ELF images, and images with address fields in the header.
 *
 * A request for a video mode is ignored, as there is no display at that point. Given to the kernel:
 * memory sizes and map, name and command line, modules, the loader's name.
 */
#ifndef VMM_BOOT_MULTIBOOT_H
#define VMM_BOOT_MULTIBOOT_H

#include "vmm/boot/boot.h"

bool multiboot_detect(const uint8_t *image, size_t size);
enum vmm_status multiboot_load(struct boot *boot) VMM_MUST_CHECK;

/* For both versions. */
#define MULTIBOOT_LOADER_NAME "Graft"
/*
 * Loads a flat image: the bytes of the file from `offset` at [load, load_end), zeros to bss_end; an
 * end of 0 means that of the file, or none.
 */
struct multiboot_flat {
    uint64_t header_address, load, load_end, bss_end;
    uint64_t header_offset;
};
enum vmm_status multiboot_load_flat(struct boot *boot, const struct multiboot_flat *flat,
                                    uint64_t delta, bool placed) VMM_MUST_CHECK;
/* Size that the flat image takes in memory; fails where its fields contradict each other or the
 * file. */
enum vmm_status multiboot_measure_flat(struct boot *boot, const struct multiboot_flat *flat,
                                       uint64_t *size) VMM_MUST_CHECK;
/* Kilobytes of RAM below 640 KiB and above 1 MiB. */
void multiboot_memory_sizes(const struct memory *memory, uint32_t *lower, uint32_t *upper);
/* Places a module; its address. */
enum vmm_status multiboot_put_module(struct boot *boot, const struct boot_module *module,
                                     uint64_t *at) VMM_MUST_CHECK;

#endif
