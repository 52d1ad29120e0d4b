/* SPDX-License-Identifier: MIT */
/*
 * What exits cost a guest, in TSC ticks: exact instruction counts when the machine counts one tick an instruction. Each is the
 * smallest of many, less an empty pair of readings.
 */
#include "guest.h"

#define ROUNDS 64
#define LAPIC  0xfee00000u
#define VECTOR 0x40

static uint32_t stamp(void)
{
    return (uint32_t)tsc();
}

#define MEASURE(name, operation)                          \
    do {                                                  \
        uint32_t best_ = ~0u;                             \
        for (unsigned i_ = 0; i_ < ROUNDS; i_++) {        \
            uint32_t from_ = stamp();                     \
            operation;                                    \
            uint32_t taken_ = stamp() - from_;            \
            if (taken_ < best_)                           \
                best_ = taken_;                           \
        }                                                 \
        figure(name, best_ - empty);                      \
    } while (0)

static volatile uint32_t arrived;

static void note_timer(struct registers *r)
{
    if (r->vector == VECTOR)
        arrived = stamp();
    *(volatile uint32_t *)(LAPIC + 0xb0) = 0;
}

/* From the deadline to the first instructions of the handler, the guest spinning; with TSC deadline if there is one. */
static void timer(void)
{
    uint32_t best = ~0u, ecx;
    __asm__ volatile("cpuid" : "=c"(ecx) : "a"(1) : "ebx", "edx");
    if (!(ecx >> 24 & 1))
        return;
    guest_handler = note_timer;
    wrmsr(0x1b, rdmsr(0x1b) | 0x800);
    *(volatile uint32_t *)(LAPIC + 0xf0) = 0x1ff;
    *(volatile uint32_t *)(LAPIC + 0x320) = VECTOR | 2u << 17;
    for (unsigned i = 0; i < 20; i++) {
        uint64_t deadline = tsc() + 200000;
        arrived = 0;
        wrmsr(0x6e0, deadline);
        __asm__ volatile("sti");
        while (!arrived)
            ;
        __asm__ volatile("cli");
        uint32_t taken = arrived - (uint32_t)deadline;
        if (taken < best)
            best = taken;
    }
    guest_handler = 0;
    figure("timer_to_guest", best);
}

void test_bench(void)
{
    uint32_t empty = ~0u;
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint32_t from = stamp(), taken = stamp() - from;
        if (taken < empty)
            empty = taken;
    }
    MEASURE("exit_port", out8(0x80, 0x55));
    MEASURE("exit_port_in", (void)in8(0x3fd));
    MEASURE("exit_mmio", *(volatile uint32_t *)0xfec00000 = 1);
    MEASURE("exit_mmio_read", (void)*(volatile uint32_t *)0xfec00010);
    MEASURE("exit_mmio_lapic", (void)*(volatile uint32_t *)(LAPIC + 0x20));
    MEASURE("exit_cpuid_vmm", __asm__ volatile("cpuid" : : "a"(0) : "ebx", "ecx", "edx"));
    MEASURE("exit_msr", (void)rdmsr(0x1b));
    timer();
}
