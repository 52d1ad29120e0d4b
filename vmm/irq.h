/* SPDX-License-Identifier: MIT */
/*
 * Interrupt lines between devices and interrupt controllers.
 *
 * A device owns an irq_line and says its level; it does not know what hears it. The hub joins the
 * lines of one global system interrupt (wired OR) and tells both the 8259s and the IOAPIC. Global
 * system interrupts 0 to 15 are the ISA ones; ISA 0 is pin 2 of the IOAPIC (as MADT says), all
 * others go to their own number. Under the machine lock.
 */
#ifndef VMM_IRQ_H
#define VMM_IRQ_H

#include <stdbool.h>
#include <stdint.h>

#define IRQ_LINES 24u

struct irq_hub {
    uint32_t asserted[IRQ_LINES];  // one bit a source
    uint32_t sources[IRQ_LINES];   // bits given out
    void (*pic)(void *pic, unsigned irq, bool level);
    void *pic_device;
    void (*ioapic)(void *ioapic, unsigned pin, bool level);
    void *ioapic_device;
};

struct irq_line {
    struct irq_hub *hub;
    uint8_t number;
    bool level;     // what the device says
    bool muted;     // nobody hears it
    uint32_t bit;
};

void irq_hub_init(struct irq_hub *hub);
/* Connects a line to an interrupt; false if that has 32 sources already or does not exist. */
bool irq_connect(struct irq_hub *hub, struct irq_line *line, unsigned number);
/* Sets the level of this source; a line that is not connected goes nowhere. */
void irq_set(struct irq_line *line, bool level);
/* Cuts a line off, or connects it again at its present level. */
void irq_mute(struct irq_line *line, bool muted);

#endif
