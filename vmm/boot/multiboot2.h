/* SPDX-License-Identifier: MIT */
/*
 * Multiboot 2 (specification 2.0), the i386 state: ELF images and images with an address tag,
 * relocatable ones included.
 *
 * Refused: header tags that ask for running EFI boot services, unless they are optional, and any
 * other required tag or information request that the specification does not have. EFI entry points
 * are not used. Given: command line, loader's name, modules, memory sizes and map, the ACPI root
 * pointer, the load base.
 */
#ifndef VMM_BOOT_MULTIBOOT2_H
#define VMM_BOOT_MULTIBOOT2_H

#include "vmm/boot/boot.h"

bool multiboot2_detect(const uint8_t *image, size_t size);
enum vmm_status multiboot2_load(struct boot *boot) VMM_MUST_CHECK;

#endif
