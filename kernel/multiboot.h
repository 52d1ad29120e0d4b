/* SPDX-License-Identifier: MIT */
/*
 * What the boot loader left: memory map, modules, command line, RSDP, by Multiboot 1 (0.6.96) or Multiboot 2 (2.0).
 * The loader is trusted (it chose the kernel), but every length is bounded, so that a broken one ends in a message.
 */
#ifndef KERNEL_MULTIBOOT_H
#define KERNEL_MULTIBOOT_H

#include "kernel/boot.h"

#define BOOT_MODULE_MAX 32u

/* Fills ranges, modules, the pool option and the RSDP. NULL, or what is wrong. */
const char *multiboot_read(struct boot_info *boot, uint32_t magic, uint32_t address);

#endif
