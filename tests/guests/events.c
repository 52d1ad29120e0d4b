/* SPDX-License-Identifier: MIT */
/* Interrupts that meet exceptions, and the task priority by both of its ways. */
#include "guest.h"

#define PIT_HZ     1193182u
#define TICKS      300u
#define VECTOR_UD  6u
#define VECTOR_PIT 32u
#define LAPIC_TPR  0xfee00080u
#define LAPIC_SVR  0xfee000f0u
#define LAPIC_LVT0 0xfee00350u

static volatile uint32_t ticks, faults;

static volatile uint32_t *lapic(uint32_t address)
{
    return (volatile uint32_t *)address;
}

static void handle(struct registers *r)
{
    if (r->vector == VECTOR_UD) {
        faults++;
        r->eip += 2; // over UD2
    } else if (r->vector == VECTOR_PIT) {
        ticks++;
        out8(0x20, 0x20);
    } else {
        put("guest: another vector\n");
        finish(false);
    }
}

/* The timer's 1,000 interrupts a second, by the 8259 and the local APIC's LINT0. */
static void start_timer(void)
{
    static const uint8_t setup[][2] = {{0x20, 0x11}, {0x21, VECTOR_PIT}, {0x21, 4}, {0x21, 1}, {0x21, 0xfe}, {0xa1, 0xff}};

    for (unsigned i = 0; i < sizeof setup / sizeof setup[0]; i++)
        out8(setup[i][0], setup[i][1]);
    *lapic(LAPIC_SVR) = 0x1ff;
    *lapic(LAPIC_LVT0) = 0x700;
    out8(0x43, 0x34);
    out8(0x40, PIT_HZ / 1000 & 0xff);
    out8(0x40, PIT_HZ / 1000 >> 8);
}

/* With an exit of the machine between writing and reading. */
static bool priority_stays(uint32_t value)
{
    *lapic(LAPIC_TPR) = value;
    (void)in8(0x80);
    return *lapic(LAPIC_TPR) == value;
}

void test_events(void)
{
    guest_handler = handle;
    start_timer();
    __asm__ volatile("sti");
    while (ticks < TICKS)
        __asm__ volatile("ud2");
    put("guest: exceptions while the timer ticked: ");
    put_number(faults);
    put("\n");
    if (faults < TICKS || !priority_stays(0x20) || !priority_stays(0xf0) || !priority_stays(0))
        finish(false);
    for (uint32_t before = ticks; ticks == before;)
        __asm__ volatile("hlt");
}
