/* SPDX-License-Identifier: MIT */
/* The local APIC. */
#include "kernel/local_apic.h"

#include "kernel/cpu.h"
#include "kernel/interrupt.h"
#include "kernel/kernel_map.h"
#include "kernel/msr.h"

#define REG_ID      0x02u
#define REG_TPR     0x08u
#define REG_EOI     0x0bu
#define REG_SVR     0x0fu
#define REG_ESR     0x28u
#define REG_ICR_LOW 0x30u
#define REG_ICR_HIGH 0x31u
#define REG_LVT_TIMER 0x32u
#define REG_LVT_LINT0 0x35u
#define REG_LVT_LINT1 0x36u
#define REG_LVT_ERROR 0x37u
#define REG_DIVIDE    0x3eu

#define LVT_MASKED       0x10000u
#define LVT_TSC_DEADLINE 0x40000u
#define SVR_ENABLE       0x100u
#define ICR_PENDING      0x1000u
#define ICR_NMI_OTHERS   0xc4400u
#define BASE_ENABLE      0x800u
#define BASE_X2APIC      0x400u
#define BASE_ADDRESS     0x000ffffffffff000ull

/* The registers' mapping, NULL in x2APIC mode. Written once, before any other CPU runs. */
static volatile uint32_t *registers;

static void enable(void)
{
    uint64_t base = msr_read(MSR_APIC_BASE) | BASE_ENABLE;
    msr_write(MSR_APIC_BASE, base);
    if (!registers)
        msr_write(MSR_APIC_BASE, base | BASE_X2APIC);
}

uint64_t local_apic_map(void)
{
    uint64_t base = msr_read(MSR_APIC_BASE) & BASE_ADDRESS;
    if (cpuid(1, 0).ecx >> 21 & 1)
        base = 0;
    else
        registers = kernel_map_device(base);
    enable();
    return base;
}

uint32_t local_apic_read(unsigned reg)
{
    return registers ? registers[reg * 4] : (uint32_t)msr_read(MSR_X2APIC + reg);
}

void local_apic_write(unsigned reg, uint32_t value)
{
    if (registers)
        registers[reg * 4] = value;
    else
        msr_write(MSR_X2APIC + reg, value);
}

uint32_t local_apic_id(void)
{
    return registers ? registers[REG_ID * 4] >> 24 : (uint32_t)msr_read(MSR_X2APIC + REG_ID);
}

void local_apic_eoi(void)
{
    local_apic_write(REG_EOI, 0);
}

void local_apic_command(uint32_t apic_id, uint32_t command)
{
    if (!registers) {
        /* WRMSR to x2APIC registers does not order earlier stores (Intel SDM 3A, 10.12.3). */
        __asm__ volatile("mfence" ::: "memory");
        msr_write(MSR_X2APIC + REG_ICR_LOW, (uint64_t)apic_id << 32 | command);
        return;
    }
    while (registers[REG_ICR_LOW * 4] & ICR_PENDING)
        cpu_pause();
    registers[REG_ICR_HIGH * 4] = apic_id << 24;
    registers[REG_ICR_LOW * 4] = command;
}

void local_apic_init(struct cpu *cpu)
{
    enable();
    local_apic_write(REG_SVR, SVR_ENABLE | VECTOR_SPURIOUS);
    local_apic_write(REG_TPR, 0);
    local_apic_write(REG_LVT_LINT0, LVT_MASKED);
    local_apic_write(REG_LVT_LINT1, LVT_MASKED);
    local_apic_write(REG_ESR, 0);
    local_apic_write(REG_LVT_ERROR, VECTOR_ERROR);
    local_apic_write(REG_DIVIDE, 0xb); // by 1
    local_apic_write(REG_LVT_TIMER, VECTOR_TIMER | (cpu->tsc_deadline ? LVT_TSC_DEADLINE : 0));
}

void ipi_send(unsigned cpu, enum ipi vector)
{
    local_apic_command(cpu_of(cpu)->apic_id, vector);
}

void ipi_stop_others(void)
{
    local_apic_command(0, ICR_NMI_OTHERS);
}
