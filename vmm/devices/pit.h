/* SPDX-License-Identifier: MIT */
/*
 * The 8254 timer and the PC's system control port 61h (Intel 8254 data sheet; 82371AB 4.2.3).
 *
 * Under the machine lock. Counts follow from the clock, nothing ticks; counter 0 arms a timer for
 * each rising edge of its output, which is interrupt 0. Deviation: edges closer than 50 us are
 * merged, as an 8259 would merge most of them.
 */
#ifndef VMM_DEVICES_PIT_H
#define VMM_DEVICES_PIT_H

#include "vmm/bus.h"
#include "vmm/clock.h"
#include "vmm/device.h"
#include "vmm/irq.h"

#define PIT_HZ 1193182u

struct pit_counter {
    struct device device;
    /* State. Times are in periods of the 8254's clock. */
    uint8_t  mode, bcd, access; // as in the control word
    uint8_t  gate;
    uint8_t  loaded;            // a count was written since the control word
    uint8_t  running;           // counting has started (modes 1 and 5: the gate has triggered)
    uint8_t  write_low, write_high_next, read_high_next;
    uint8_t  count_latched, status_latched, latched_status;
    uint16_t latched;
    uint8_t  reload;            // `next` replaces `count` at the end of this cycle
    uint32_t count, next;       // 1 to 0x10000
    uint64_t start;             // first period of counting
    uint64_t held;              // periods counted when the gate stopped it
};

struct pit {
    struct pit_counter counter[3];
    uint8_t control;            // port 61h, bits 3:0
    struct bus_range range, control_range;
    struct clock *clock;
    struct clock_timer timer;
    struct irq_line irq;
};

enum vmm_status pit_init(struct pit *pit, struct port_bus *ports, struct host_mutex *lock,
                         struct clock *clock, struct irq_hub *hub) VMM_MUST_CHECK;
/* What the machine does at reset and after load, beyond each counter's fields. */
void pit_reset(struct pit *pit);

/* The counter's output now. */
bool pit_output(struct pit *pit, unsigned counter);

#endif
