/* SPDX-License-Identifier: MIT */
/* From boot.S to kernel_main(): finds out about the machine and sets it up. */
#include "kernel/boot.h"

#include "kernel/acpi.h"
#include "kernel/assert.h"
#include "kernel/console.h"
#include "kernel/cpu.h"
#include "kernel/interrupt.h"
#include "kernel/ioapic.h"
#include "kernel/kernel_map.h"
#include "kernel/local_apic.h"
#include "kernel/memory_map.h"
#include "kernel/paging.h"
#include "kernel/timer.h"
#include "kernel/vcpu.h"
#include "kernel/xstate.h"
#include "lib/string.h"

#define LIMIT    0x100000000ull
#define MIB      0x100000ul
#define POOL_MIN 16u
#define POOL_MAX 256u

_Noreturn void boot_main(uint32_t magic, uint32_t address); // boot.S comes here

void *boot_map(uint64_t phys, uint64_t size)
{
    return phys && phys < LIMIT && size <= LIMIT - phys ? (void *)phys : NULL;
}

uint64_t boot_take(struct boot_info *boot, uint64_t size, uint64_t align, enum abi_memory type)
{
    uint64_t base = memory_map_take(&boot->info, size, align, LIMIT, type);
    if (base)
        memset((void *)base, 0, size);
    return base;
}

static uint64_t must_take(struct boot_info *boot, uint64_t size, uint64_t align, uint64_t limit)
{
    uint64_t base = memory_map_take(&boot->info, size, align, limit, ABI_MEMORY_KERNEL);
    if (!base)
        panic("no room for %lu KiB of kernel memory below %lx", size >> 10, limit);
    return base;
}

static void take_pool(struct boot_info *boot)
{
    uint64_t mib = boot->pool_option ? boot->pool_option : memory_map_free_bytes(&boot->info) / MIB / 64;
    mib = mib < POOL_MIN ? POOL_MIN : mib > POOL_MAX ? POOL_MAX : mib;
    boot->pool_size = (mib * MIB) & ~(2 * MIB - 1);
    boot->pool_base = must_take(boot, boot->pool_size, 2 * MIB, LIMIT);
}

/* The boot CPU first, so that its id is 0. Returns how many others there are. */
static unsigned order_cpus(struct acpi_madt *madt)
{
    uint32_t self = local_apic_id(), others = 0;
    for (uint32_t i = 0; i < madt->cpu_count; i++)
        if (madt->apic_id[i] != self && others < ACPI_CPU_MAX - 1)
            madt->apic_id[others++] = madt->apic_id[i];
    return others;
}

static void fill_info(struct boot_info *boot)
{
    struct abi_info *info = &boot->info;
    info->magic = ABI_INFO_MAGIC;
    info->version = ABI_VERSION;
    info->cpu_count = cpu_count();
    info->boot_cpu = 0;
    info->features = (vcpu_ops() ? ABI_FEATURE_SVM : 0) | (ASSERTIONS ? ABI_FEATURE_ASSERT : 0);
    if (cpu_self()->tsc_deadline)
        info->features |= ABI_FEATURE_TSC_DEADLINE;
    info->xstate_size = xstate_size();
    info->xcr0 = xstate_mask();
    info->tsc_khz = timer_khz();
    info->rsdp = boot->acpi_rsdp;
    info->msi_count = INTERRUPT_MSI_MAX;
    for (unsigned i = 0; i < cpu_count(); i++)
        info->apic_id[i] = cpu_of(i)->apic_id;
    memory_map_sort(info);
    info->size = (uint32_t)(offsetof(struct abi_info, range) + info->range_count * sizeof(info->range[0]));
    boot->kernel_pml4 = kernel_map_pml4();
}

void boot_main(uint32_t magic, uint32_t address)
{
    static struct boot_info boot;
    static struct acpi_madt madt;
    console_init();
    print("Graft microhypervisor, ABI %u\n", ABI_VERSION);
    const char *error = multiboot_read(&boot, magic, address);
    if (error)
        panic("boot: %s", error);
    acpi_read(&madt, boot.acpi_rsdp);
    boot.acpi_rsdp = madt.rsdp;

    uint64_t areas_size = (madt.cpu_count ? madt.cpu_count : 1) * (uint64_t)CPU_STRIDE;
    uint64_t trampoline_page = must_take(&boot, PAGE_SIZE, PAGE_SIZE, MIB - PAGE_SIZE);
    uint64_t areas = must_take(&boot, areas_size, PAGE_SIZE, LIMIT);
    memset((void *)areas, 0, areas_size);
    take_pool(&boot);
    kernel_map_init(boot.pool_base, boot.pool_size, areas, (unsigned)(areas_size / CPU_STRIDE));

    uint64_t apic_page = local_apic_map();
    if (apic_page)
        memory_map_carve(&boot.info, apic_page, PAGE_SIZE, ABI_MEMORY_KERNEL);
    boot.info.pin_count = ioapic_init(&boot, &madt);
    interrupt_init(boot.info.pin_count);
    cpu_init(0, local_apic_id(), areas);
    timer_calibrate();
    smp_start(madt.apic_id, order_cpus(&madt), trampoline_page, areas);
    fill_info(&boot);
    print("%u CPU%s, TSC %lu kHz, pool %lu MiB, %u pins%s\n", cpu_count(), cpu_count() > 1 ? "s" : "", timer_khz(),
          boot.pool_size / MIB, boot.info.pin_count, vcpu_ops() ? ", SVM" : "");
    kernel_main(&boot);
}

void boot_finish(struct boot_info *boot)
{
    (void)boot;
    kernel_map_drop_identity();
    tlb_flush_local();
    smp_release();
}
