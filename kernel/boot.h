/* SPDX-License-Identifier: MIT */
/*
 * From the boot loader to kernel_main(): what was found, in one structure that lives until boot_finish().
 *
 * While booting, the low 4 GiB of physical memory are mapped one to one (below, supervisor, writable); boot_finish() takes that away.
 */
#ifndef KERNEL_BOOT_H
#define KERNEL_BOOT_H

#include "abi/info.h"

#include <stdbool.h>
#include <stdint.h>

struct boot_info {
    struct abi_info info;     // draft of the information page: all but pool_frames and root_quota are filled in, and ranges are sorted
    uint64_t module_base;     // the first module: the root program, an ELF64 image below 4 GiB
    uint64_t module_size;
    uint64_t pool_base;       // physical; mapped writable at POOL_BASE
    uint64_t pool_size;       // bytes, a multiple of 2 MiB
    uint64_t kernel_pml4;     // physical; entries 256 to 511 are to be copied into each host space
    uint64_t pool_option;     // boot only: MiB asked for on the command line, 0 none
    uint64_t acpi_rsdp;       // boot only
};

/*
 * Takes `size` bytes (page multiple) aligned to `align` out of the FREE ranges below 4 GiB and lists them as `type`.
 * Zeroed. Returns the physical address (usable as a pointer until boot_finish), 0 if there is no room.
 */
uint64_t boot_take(struct boot_info *boot, uint64_t size, uint64_t align, enum abi_memory type);

/* Physical memory as a pointer while booting; NULL if not all of it is below 4 GiB. */
void *boot_map(uint64_t phys, uint64_t size);

/* The start of the objects: called once on the boot CPU with interrupts off, after all CPUs are up; does not return. */
_Noreturn void kernel_main(struct boot_info *boot);

/* Called by each other CPU after boot_finish(): its scheduler. */
_Noreturn void kernel_main_ap(void);

/* Removes the one-to-one mapping everywhere and lets the other CPUs go on to kernel_main_ap(). `boot` itself stays readable. */
void boot_finish(struct boot_info *boot);

/* The steps of boot.c that have files of their own. */
#define BOOT_MODULE_MAX 32u
/*
 * What the boot loader left: memory map, modules, command line, RSDP, by Multiboot 1 (0.6.96) or Multiboot 2 (2.0).
 * The loader is trusted (it chose the kernel), but every length is bounded, so that a broken one ends in a message.
 * Fills ranges, modules, the pool option and the RSDP. NULL, or what is wrong.
 */
const char *multiboot_read(struct boot_info *boot, uint32_t magic, uint32_t address);
/*
 * The other CPUs (Intel MultiProcessor Specification 1.4, B.4), one after another; those that do not come up are left out.
 * The boot CPU's id is 0; areas_phys: one area a CPU.
 */
void smp_start(const uint32_t *apic_id, unsigned count, uint64_t trampoline_page, uint64_t areas_phys);
/* Lets them go on to kernel_main_ap(). */
void smp_release(void);

#endif
