/* SPDX-License-Identifier: MIT */
/*
 * Linux's bzImage (Documentation/x86/boot.rst and zero-page.rst of Linux 6.1): protocols 2.02
 * to 2.15.
 *
 * The 64-bit entry is used where XLF_KERNEL_64 is set (2.12 and later), the 32-bit one otherwise.
 * The kernel is loaded at its preferred address, or, if it is relocatable, at the lowest free one
 * above; init_size bytes are kept free for it.
 */
#ifndef VMM_BOOT_BZIMAGE_H
#define VMM_BOOT_BZIMAGE_H

#include "vmm/boot/boot.h"

bool bzimage_detect(const uint8_t *image, size_t size);
enum vmm_status bzimage_load(struct boot *boot) VMM_MUST_CHECK;

#endif
