/* SPDX-License-Identifier: MIT */
/* The kernel's own page tables (layout: kernel/asm.h), made once while booting. All mappings are global and never change, but for the I/O bitmap windows. */
#ifndef KERNEL_KERNEL_MAP_H
#define KERNEL_KERNEL_MAP_H

#include <stdint.h>

/* Replaces the boot mapping of the upper half: image by section, pool, areas of `cpus` CPUs at areas_phys. */
void kernel_map_init(uint64_t pool_base, uint64_t pool_size, uint64_t areas_phys, unsigned cpus);

/* Maps one page of device registers, uncached. Returns its address. At most 16. Boot CPU only. */
volatile void *kernel_map_device(uint64_t phys);

/* Points the two pages of a CPU's window on the I/O permission bitmap at frames. Own CPU only. */
void kernel_map_pio(unsigned cpu, uint64_t frame0, uint64_t frame1);

/* Takes the one-to-one mapping out of the master table (each CPU flushes its own TLB). */
void kernel_map_drop_identity(void);

uint64_t kernel_map_pml4(void); // physical

#endif
