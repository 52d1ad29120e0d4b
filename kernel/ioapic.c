/* SPDX-License-Identifier: MIT */
/* I/O APICs. */
#include "kernel/ioapic.h"

#include "kernel/acpi.h"
#include "kernel/interrupt.h"
#include "kernel/kernel_map.h"
#include "kernel/memory_map.h"

#define REG_VERSION 1u
#define REG_TABLE   0x10u
#define RTE_MASKED  0x10000u

static struct ioapic {
    volatile uint32_t *registers; // [0] index, [4] data
    unsigned pin_base, pins;
} ioapics[ACPI_IOAPIC_MAX];

static uint32_t get(const struct ioapic *io, uint32_t reg)
{
    io->registers[0] = reg;
    return io->registers[4];
}

static void set(const struct ioapic *io, uint32_t reg, uint32_t value)
{
    io->registers[0] = reg;
    io->registers[4] = value;
}

static const struct ioapic *find(unsigned pin)
{
    for (unsigned i = 0; i < ACPI_IOAPIC_MAX; i++)
        if (pin - ioapics[i].pin_base < ioapics[i].pins)
            return &ioapics[i];
    return NULL;
}

unsigned ioapic_init(struct boot_info *boot, const struct acpi_madt *madt)
{
    unsigned count = 0;
    for (unsigned i = 0; i < madt->ioapic_count; i++) {
        unsigned base = madt->ioapic[i].pin_base;
        struct ioapic *io = &ioapics[i];
        if (base >= INTERRUPT_PIN_MAX)
            continue;
        memory_map_carve(&boot->info, madt->ioapic[i].address & ~0xfffu, 4096, ABI_MEMORY_KERNEL);
        io->registers = kernel_map_device(madt->ioapic[i].address);
        io->pin_base = base;
        io->pins = (get(io, REG_VERSION) >> 16 & 0xff) + 1;
        if (io->pins > INTERRUPT_PIN_MAX - base)
            io->pins = INTERRUPT_PIN_MAX - base;
        for (unsigned pin = 0; pin < io->pins; pin++)
            set(io, REG_TABLE + pin * 2, RTE_MASKED);
        if (count < base + io->pins)
            count = base + io->pins;
    }
    return count;
}

bool ioapic_set(unsigned pin, uint32_t rtl, uint32_t apic_id)
{
    const struct ioapic *io = find(pin);
    if (!io)
        return false;
    uint32_t reg = REG_TABLE + (pin - io->pin_base) * 2;
    set(io, reg, RTE_MASKED);
    set(io, reg + 1, apic_id << 24);
    set(io, reg, rtl);
    return true;
}

void ioapic_set_mask(unsigned pin, bool masked)
{
    const struct ioapic *io = find(pin);
    if (!io)
        return;
    uint32_t reg = REG_TABLE + (pin - io->pin_base) * 2, rtl = get(io, reg);
    set(io, reg, masked ? rtl | RTE_MASKED : rtl & ~RTE_MASKED);
}
