/* SPDX-License-Identifier: MIT */
/*
 * HPET with three timers (IA-PC HPET specification 1.0a), counting at 10 MHz. Under the machine
 * lock.
 *
 * Timer 0 can be periodic. Interrupts go to pins 20 to 23 of the IOAPIC, edge or level, or in
 * legacy mode in the place of the 8254's and the RTC's. No FSB delivery. Periods below 50 us are
 * merged.
 */
#ifndef VMM_DEVICES_HPET_H
#define VMM_DEVICES_HPET_H

#include "vmm/bus.h"
#include "vmm/clock.h"
#include "vmm/device.h"
#include "vmm/irq.h"

#define HPET_BASE      0xfed00000ull
#define HPET_HZ        10000000u
#define HPET_TIMERS    3u
#define HPET_FIRST_PIN 20u
#define HPET_PINS      4u

struct hpet {
    struct device device;
    /* State. */
    uint64_t config;                    // ENABLE_CNF, LEG_RT_CNF
    uint64_t status;
    uint64_t offset;                    // counter - clock count while enabled; counter while not
    uint64_t control[HPET_TIMERS];
    uint64_t comparator[HPET_TIMERS];
    uint64_t period[HPET_TIMERS];
    uint64_t seen[HPET_TIMERS];         // counter at the last look for matches
    /* Wiring. */
    struct bus_range range;
    struct clock *clock;
    struct clock_timer timer;
    struct irq_line line[HPET_TIMERS][HPET_PINS];
    struct irq_line legacy[2];          // interrupts 0 and 8
    struct irq_line *replaced[2];       // whose place they take
};

enum vmm_status hpet_init(struct hpet *hpet, struct memory_bus *memory, struct host_mutex *lock,
                          struct clock *clock, struct irq_hub *hub, struct irq_line *pit,
                          struct irq_line *rtc) VMM_MUST_CHECK;

#endif
