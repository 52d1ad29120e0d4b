/* SPDX-License-Identifier: MIT */
/* Page tables of the kernel half. */
#include "kernel/kernel_map.h"

#include "kernel/asm.h"
#include "kernel/assert.h"
#include "kernel/paging.h"

#define KERNEL_PAGE (PTE_PRESENT | PTE_GLOBAL | PTE_ACCESSED | PTE_DIRTY)
#define DATA_PAGE   (KERNEL_PAGE | PTE_WRITE | PTE_NX)
#define TABLE       (PTE_PRESENT | PTE_WRITE | PTE_ACCESSED)
#define ENTRIES     512u
#define DEVICE_MAX  16u
#define PAGE_2M     0x200000ull
#define AREA_PAGES  (CPU_STRIDE / PAGE_SIZE)

typedef uint64_t page_table[ENTRIES] __attribute__((aligned(4096)));

extern page_table boot_pml4, boot_pdpt_high;
extern char image_start[], text_start[], rodata_start[], data_start[], image_end[];

/* Page directories for 0xffffffff80000000 and 0xffffffffc0000000, tables for the image, two for the CPU areas, one for devices. */
static page_table pd_image, pd_high, pt_image, pt_cpu[2], pt_device;

static uint64_t phys(const void *p)
{
    return (uint64_t)p - KERNEL_BASE;
}

static void map_image(const char *from, const char *to, uint64_t bits)
{
    for (uint64_t a = phys(from); a < phys(to); a += PAGE_SIZE)
        pt_image[a / PAGE_SIZE % ENTRIES] = a | bits;
}

static uint64_t *cpu_entry(unsigned cpu, unsigned page)
{
    unsigned i = cpu * (unsigned)AREA_PAGES + page;
    return &pt_cpu[i / ENTRIES][i % ENTRIES];
}

void kernel_map_init(uint64_t pool_base, uint64_t pool_size, uint64_t areas_phys, unsigned cpus)
{
    map_image(image_start, text_start, KERNEL_PAGE | PTE_NX);
    map_image(text_start, rodata_start, KERNEL_PAGE);
    map_image(rodata_start, data_start, KERNEL_PAGE | PTE_NX);
    map_image(data_start, image_end, DATA_PAGE);
    pd_image[phys(image_start) / PAGE_2M] = phys(pt_image) | TABLE;
    for (uint64_t at = 0; at < pool_size; at += PAGE_2M)
        pd_image[(POOL_BASE - KERNEL_BASE + at) / PAGE_2M] = (pool_base + at) | DATA_PAGE | PTE_LARGE;
    for (unsigned cpu = 0; cpu < cpus; cpu++)
        for (unsigned page = 1; page < AREA_PAGES - 1; page++)
            *cpu_entry(cpu, page) = (areas_phys + cpu * (uint64_t)CPU_STRIDE + page * PAGE_SIZE) | DATA_PAGE;
    pd_high[0] = phys(pt_cpu[0]) | TABLE;
    pd_high[1] = phys(pt_cpu[1]) | TABLE;
    pd_high[(DEVICE_BASE - CPU_BASE) / PAGE_2M] = phys(pt_device) | TABLE;
    boot_pdpt_high[510] = phys(pd_image) | TABLE;
    boot_pdpt_high[511] = phys(pd_high) | TABLE;
    tlb_flush_local();
}

volatile void *kernel_map_device(uint64_t address)
{
    unsigned i = 0;
    while (i < DEVICE_MAX && pt_device[i])
        i++;
    if (i == DEVICE_MAX)
        panic("too many interrupt controllers");
    pt_device[i] = (address & PTE_ADDRESS) | DATA_PAGE | PTE_CACHE_UC;
    return (volatile void *)(DEVICE_BASE + i * PAGE_SIZE + address % PAGE_SIZE);
}

void kernel_map_pio(unsigned cpu, uint64_t frame0, uint64_t frame1)
{
    uint64_t window = CPU_BASE + cpu * (uint64_t)CPU_STRIDE + 10 * PAGE_SIZE;
    *cpu_entry(cpu, 10) = frame0 | DATA_PAGE;
    *cpu_entry(cpu, 11) = frame1 | DATA_PAGE;
    tlb_flush_page(window);
    tlb_flush_page(window + PAGE_SIZE);
}

void kernel_map_drop_identity(void)
{
    boot_pml4[0] = 0;
}

uint64_t kernel_map_pml4(void)
{
    return phys(boot_pml4);
}
