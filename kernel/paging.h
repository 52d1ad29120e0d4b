/* SPDX-License-Identifier: MIT */
/*
 * Page-table entries (APM volume 2, 5.3; nested tables have the same format, 15.25) and TLB operations. Four levels.
 * A nested table walks as user: every entry needs PTE_USER.
 */
#ifndef KERNEL_PAGING_H
#define KERNEL_PAGING_H

#include <stdint.h>

#define PTE_PRESENT  0x1ull
#define PTE_WRITE    0x2ull
#define PTE_USER     0x4ull
#define PTE_PWT      0x8ull
#define PTE_PCD      0x10ull
#define PTE_ACCESSED 0x20ull
#define PTE_DIRTY    0x40ull
#define PTE_LARGE    0x80ull  // 2 MiB, level 2
#define PTE_GLOBAL   0x100ull
#define PTE_NX       (1ull << 63)
#define PTE_ADDRESS  0x000ffffffffff000ull

/* PAT: entry 0 WB, 1 WC, 2 UC-, 3 UC (cpu_init writes it). Cache bits for abi/hypercall.h's attributes: */
#define PTE_CACHE_WB 0ull
#define PTE_CACHE_UC (PTE_PCD | PTE_PWT)
#define PTE_CACHE_WC PTE_PWT

#define PAGE_SIZE  4096ull
#define PAGE_SHIFT 12

static inline void paging_load(uint64_t pml4_phys)
{
    __asm__ volatile("movq %0, %%cr3" : : "r"(pml4_phys) : "memory");
}

static inline uint64_t paging_current(void)
{
    uint64_t cr3;
    __asm__ volatile("movq %%cr3, %0" : "=r"(cr3));
    return cr3;
}

static inline void tlb_flush_page(uint64_t address)
{
    __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

/* All translations of the user half (kernel mappings are global and never change after boot). */
static inline void tlb_flush_local(void)
{
    paging_load(paging_current());
}

#endif
