/* SPDX-License-Identifier: MIT */
/*
 * The PC's two 8259A interrupt controllers with the edge/level registers of the PIIX (Intel 8259A
 * data sheet; 82371AB 4.2.4). Under the machine lock. The output of the first goes to `output`;
 * pic_acknowledge() is the processor's INTA cycle.
 */
#ifndef VMM_DEVICES_PIC_H
#define VMM_DEVICES_PIC_H

#include "vmm/bus.h"
#include "vmm/device.h"

struct pic_pair;

struct pic {
    struct device device;
    /* State. */
    uint8_t irr;          // latched edges
    uint8_t lines;        // levels of the inputs
    uint8_t isr, imr;
    uint8_t elcr;         // 1: level-triggered
    uint8_t base;         // ICW2
    uint8_t lowest;       // input with the lowest priority
    uint8_t step;         // ICW expected next: 0 none, 2, 3, 4
    uint8_t wants_icw4, single;
    uint8_t icw3, auto_eoi, rotate_auto, fully_nested, special_mask;
    uint8_t read_isr, poll;
    uint8_t output;
    /* Wiring. */
    uint8_t elcr_mask;
    struct pic_pair *pair;
};

struct pic_pair {
    struct pic chip[2];
    struct bus_range range[2], elcr_range;
    void (*output)(void *context, bool level);
    void *context;
};

enum vmm_status pic_init(struct pic_pair *pair, struct port_bus *ports, struct host_mutex *lock,
                         void (*output)(void *context, bool level), void *context) VMM_MUST_CHECK;
void pic_set(void *pair, unsigned irq, bool level);
/* The vector of the interrupt that the processor takes; a spurious one if the request has gone. */
uint8_t pic_acknowledge(struct pic_pair *pair);
static inline bool pic_requests(const struct pic_pair *pair)
{
    return pair->chip[0].output;
}

#endif
