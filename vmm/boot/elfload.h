/* SPDX-License-Identifier: MIT */
/*
 * Putting the segments of a kernel's ELF image at their physical addresses, below 4 GiB; for
 * Multiboot and PVH.
 *
 * With a window the image is moved as a whole to a free place within it. The entry is translated
 * from the virtual address space of the image to the physical one, as boot loaders do.
 */
#ifndef VMM_BOOT_ELFLOAD_H
#define VMM_BOOT_ELFLOAD_H

#include "lib/elf.h"
#include "vmm/boot/boot.h"

struct elfload_window {
    uint64_t min, max; // [min, max)
    uint64_t align;    // a power of two
    bool     highest;  // else lowest
};

struct elfload_result {
    uint64_t base;  // lowest address loaded
    uint64_t entry; // physical
};

/* Detects and opens; `what` names the format in messages. */
enum vmm_status elfload_open(struct boot *boot, const char *what, struct elf *elf) VMM_MUST_CHECK;
/* window: NULL to load where the image says. */
enum vmm_status elfload(struct boot *boot, const struct elf *elf,
                        const struct elfload_window *window,
                        struct elfload_result *result) VMM_MUST_CHECK;

#endif
