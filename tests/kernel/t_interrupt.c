/* SPDX-License-Identifier: MIT */
/* Interrupts as semaphores: the PC's timer chip, on each CPU in turn. */
#include "ktest.h"

static void out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

/* One shot of the 8254 after so many of its ticks (1.193182 MHz). */
static void pit_shoot(uint16_t count)
{
    out8(0x43, 0x30);
    out8(0x40, (uint8_t)count);
    out8(0x40, (uint8_t)(count >> 8));
}

static bool route(unsigned pin, uint64_t cpu)
{
    struct call c = {.rsi = cpu, .rdx = ABI_INT_EDGE | ABI_INT_HIGH};
    return call_raw(call_id(ABI_ASSIGN_INT, 0, ABI_SEL_INT_BASE + pin), &c) == ABI_OK;
}

void suite_interrupt(void)
{
    struct call c = {0};
    uint64_t taken;
    check_is(delegate(ABI_SEL_ALL_PIO, OWN_PIO, 0x40, 0x40, 4, ABI_PERM_PIO, 0), ABI_OK);
    pit_shoot(0xffff);
    for (uint64_t cpu = 0; cpu < test_info->cpu_count && cpu < 4; cpu++) {
        check(route(2, cpu));
        sm_down(ABI_SEL_INT_BASE + 2, ABI_SM_ALL, 1, &taken);
        for (unsigned i = 0; i < 5; i++) {
            pit_shoot(2000);
            check_is(sm_down(ABI_SEL_INT_BASE + 2, 0, tsc() + ticks(500000), &taken), ABI_OK);
            check_is(taken, 1);
        }
        check_is(sm_down(ABI_SEL_INT_BASE + 2, 0, tsc() + ticks(5000), &taken), ABI_TIMEOUT);
    }
    check_is(call_raw(call_id(ABI_ASSIGN_INT, 0, ABI_SEL_INT_BASE + test_info->pin_count), &c), ABI_OK);
    check((c.rsi & 0xfff00000) == 0xfee00000); // where messages go
    check((c.rdx & 0xff) >= 32);
    check_is(revoke(OWN_PIO, 0x40, 4, ABI_REVOKE_SELF), ABI_OK);
}
