/* SPDX-License-Identifier: MIT */
/*
 * What the three parts of the local APIC share: register numbers and bits, and their calls to
 * each other.
 */
#ifndef VMM_DEVICES_LAPIC_INTERNAL_H
#define VMM_DEVICES_LAPIC_INTERNAL_H

#include "vmm/devices/lapic.h"

/* Registers: xAPIC offset / 16, x2APIC MSR - 0x800. */
enum {
    REG_ID = 0x02, REG_VERSION = 0x03, REG_TPR = 0x08, REG_APR = 0x09, REG_PPR = 0x0a,
    REG_EOI = 0x0b, REG_RRD = 0x0c, REG_LDR = 0x0d, REG_DFR = 0x0e, REG_SVR = 0x0f,
    REG_ISR = 0x10, REG_TMR = 0x18,
    REG_IRR = 0x20, REG_ESR = 0x28, REG_LVT_CMCI = 0x2f, REG_ICR = 0x30, REG_ICR_HIGH = 0x31, REG_LVT = 0x32,
    REG_TIMER_COUNT = 0x38, REG_TIMER_NOW = 0x39, REG_TIMER_DIV = 0x3e, REG_SELF_IPI = 0x3f
};

#define SVR_ENABLE         0x0100u
#define SVR_NO_BROADCAST   0x1000u
#define ESR_SEND_VECTOR    0x20u
#define ESR_RECEIVE_VECTOR 0x40u
#define ESR_REGISTER       0x80u
#define LVT_MASKED         0x10000u

/* lapic.c */
uint8_t lapic_ppr(const struct lapic *lapic);
bool lapic_software_enabled(const struct lapic *lapic);
void lapic_accept(struct lapic *lapic, uint8_t vector, bool level);
void lapic_error(struct lapic *lapic, uint32_t bit);
void lapic_local_interrupt(struct lapic *lapic, enum lapic_lvt which);

/*
 * lapic_timer.c: each takes the timer's lock, but for fire (the clock calls it with the lock) and
 * rearm.
 */
void lapic_timer_fire(void *lapic);
void lapic_timer_rearm(struct lapic *lapic);
uint32_t lapic_timer_count(struct lapic *lapic);
void lapic_timer_write_count(struct lapic *lapic, uint32_t value);
void lapic_timer_write_divide(struct lapic *lapic, uint32_t value);
void lapic_timer_write_lvt(struct lapic *lapic, uint32_t value);
uint64_t lapic_timer_read_deadline(struct lapic *lapic);
void lapic_timer_write_deadline(struct lapic *lapic, uint64_t value);

/* apic_bus.c */
uint32_t lapic_ldr(const struct lapic *lapic);
bool lapic_send_icr(struct lapic *lapic); // false: the vector is illegal

#endif
