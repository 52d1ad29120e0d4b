/* SPDX-License-Identifier: MIT */
/*
 * MC146818 real-time clock and CMOS memory, ports 70h and 71h (Motorola MC146818 data sheet;
 * 82371AB 4.2.5). Under the machine lock.
 *
 * The time follows from the virtual clock; it starts at the host's wall clock (UTC). An update
 * takes 2,228 us of each second, in which UIP is set. Rates of 32 kHz and the square wave are not
 * there; the latter has no pin on a PC.
 */
#ifndef VMM_DEVICES_RTC_H
#define VMM_DEVICES_RTC_H

#include "vmm/bus.h"
#include "vmm/clock.h"
#include "vmm/device.h"
#include "vmm/irq.h"
#include "vmm/memory.h"

#define RTC_CMOS    128u
#define RTC_CENTURY 0x32u // as FADT says

struct rtc {
    struct device device;
    /* State. */
    uint8_t  index;
    uint8_t  cmos[RTC_CMOS];  // registers A to D among them; time registers while it is stopped
    uint8_t  weekday_skew;    // day of week as the guest set it, against the calendar
    uint64_t base_ns;         // time since 1970 at clock 0; meaningless while stopped
    uint64_t periods, seconds; // periodic and update cycles whose flags have been set
    /* Wiring. */
    struct bus_range range;
    struct clock *clock;
    struct clock_timer timer;
    struct irq_line irq;
};

enum vmm_status rtc_init(struct rtc *rtc, struct port_bus *ports, struct host_mutex *lock,
                         struct clock *clock, struct irq_hub *hub,
                         const struct memory *memory) VMM_MUST_CHECK;

#endif
