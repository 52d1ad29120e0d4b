/* SPDX-License-Identifier: MIT */
/*
 * Local APIC, in xAPIC and x2APIC mode (Intel SDM volume 3, chapter 11; AMD APM volume 2, chapter
 * 16), and the bus that carries messages between local APICs and from the IOAPIC.
 *
 * Registers belong to the vCPU's own thread. What other threads touch is atomic (IRR, TMR, and
 * the words a sender reads: mode, identifiers, TPR); the timer has a lock of its own, because it
 * fires on the device thread. The machine lock is not taken but to tell the IOAPIC of the end of
 * a level-triggered interrupt, through apic_bus.eoi.
 *
 * What concerns the vCPU is told by lapic.signal, from any thread: look at the interrupts again,
 * or a message that is no fixed interrupt.
 */
#ifndef VMM_DEVICES_LAPIC_H
#define VMM_DEVICES_LAPIC_H

#include "vmm/clock.h"
#include "vmm/device.h"
#include "vmm/host.h"

#include <stdbool.h>
#include <stdint.h>

#define LAPIC_TIMER_HZ    100000000ull   // before the divider, slower than any TSC as a bus is; CPUID tells it
#define LAPIC_BASE        0xfee00000ull
#define LAPIC_SIZE        0x1000ull
#define LAPICS_MAX        64u

#define LAPIC_BASE_BSP    0x100ull       // IA32_APIC_BASE
#define LAPIC_BASE_X2     0x400ull
#define LAPIC_BASE_ENABLE 0x800ull

#define MSR_APIC_BASE     0x1bu
#define MSR_TSC_DEADLINE  0x6e0u
#define MSR_X2APIC_FIRST  0x800u
#define MSR_X2APIC_LAST   0x8ffu

enum lapic_signal {
    LAPIC_INTERRUPT, // IRR or what masks it has changed, or the 8259's output
    LAPIC_NMI,
    LAPIC_INIT,
    LAPIC_SIPI,      // with the vector
};

/* Delivery modes, as in ICR, LVT and redirection entries. */
enum apic_delivery {
    APIC_FIXED = 0, APIC_LOWEST = 1, APIC_SMI = 2, APIC_NMI = 4, APIC_INIT = 5, APIC_SIPI = 6,
    APIC_EXTINT = 7
};

struct apic_message {
    uint32_t destination;
    uint8_t  vector;
    uint8_t  delivery;    // enum apic_delivery
    bool     logical;
    bool     level;       // trigger mode
    bool     wide;        // 32-bit destination (sent in x2APIC mode)
};

struct lapic;

struct apic_bus {
    struct lapic *lapic[LAPICS_MAX]; // by identifier
    unsigned count;
    _Atomic uint32_t turn;           // for lowest priority, among equals
    void (*eoi)(void *ioapic, uint8_t vector);
    void *ioapic;
};

struct lapic {
    struct device device;
    /* State. */
    uint32_t id;
    _Atomic uint64_t base;      // IA32_APIC_BASE
    _Atomic uint32_t tpr, ldr, dfr, svr;
    uint32_t isr[8];
    _Atomic uint32_t irr[8], tmr[8];
    _Atomic uint32_t esr_pending;
    uint32_t esr;
    uint64_t icr;
    _Atomic uint32_t lvt[7];    // enum lapic_lvt
    uint32_t timer_initial, timer_divide;
    uint8_t  timer_over;        // the count has come to 0 and stays there until it is written
    uint64_t timer_start;       // clock when the count was written
    uint64_t timer_deadline;    // IA32_TSC_DEADLINE, guest TSC; 0: not armed
    uint64_t tsc_skew;          // guest TSC - clock
    _Atomic uint8_t lint0;      // level of the 8259's output
    /* Wiring. */
    struct apic_bus *bus;
    struct clock *clock;
    struct clock_timer timer;
    struct host_mutex *lock;    // of the timer
    void (*signal)(void *vcpu, enum lapic_signal signal, uint8_t vector);
    void *vcpu;
};

/* In the order of their registers; the one for corrected machine checks has a place of its own. */
enum lapic_lvt {
    LVT_TIMER, LVT_THERMAL, LVT_PERF, LVT_LINT0, LVT_LINT1, LVT_ERROR, LVT_CMCI, LVT_COUNT
};

enum vmm_status lapic_init(struct lapic *lapic, struct apic_bus *bus, struct clock *clock,
                           uint32_t id) VMM_MUST_CHECK;
/* INIT: all but the identifier and IA32_APIC_BASE. device_reset() is power-on. */
void lapic_init_reset(struct lapic *lapic);

/*
 * Registers by memory (offset into the page) and by MSR; an MSR access that hardware refuses is
 * false (#GP).
 */
uint32_t lapic_mmio_read(struct lapic *lapic, uint32_t offset);
void lapic_mmio_write(struct lapic *lapic, uint32_t offset, uint32_t value);
bool lapic_msr_read(struct lapic *lapic, uint32_t msr, uint64_t *value) VMM_MUST_CHECK;
bool lapic_msr_write(struct lapic *lapic, uint32_t msr, uint64_t value) VMM_MUST_CHECK;
/*
 * Likewise for a vCPU that cannot wait for the machine's lock: of the frequent registers (ICR, EOI,
 * IA32_TSC_DEADLINE) what does without it. False: nothing has been done, for whatever reason.
 */
bool lapic_msr_write_unlocked(struct lapic *lapic, uint32_t msr, uint64_t value) VMM_MUST_CHECK;
/* IA32_TSC_DEADLINE is one of these MSRs; the guest's TSC has moved against the clock. */
void lapic_set_tsc_skew(struct lapic *lapic, uint64_t skew);

/*
 * For a vCPU that waits: when its timer is due (the machine's clock; CLOCK_NEVER: it is not armed),
 * and what the device thread would do when it is.
 */
uint64_t lapic_timer_due(struct lapic *lapic);
void lapic_timer_run(struct lapic *lapic);

/* The vector to deliver now, or -1; then that it is being delivered. */
int lapic_pending(const struct lapic *lapic);
void lapic_acknowledge(struct lapic *lapic, uint8_t vector);
/* The highest pending vector whatever its priority, or -1: something waits for TPR or EOI. */
int lapic_requested(const struct lapic *lapic);
/*
 * The class (1 to 15) of the interrupt that is next when TPR allows it, or 0: none, or one that
 * what is in service holds back. While TPR holds it back lapic_pending() is -1.
 */
unsigned lapic_next_class(const struct lapic *lapic);
void lapic_eoi(struct lapic *lapic);
/* CR8, and TPR as CR8 sees it. */
void lapic_set_cr8(struct lapic *lapic, uint8_t cr8);
static inline uint8_t lapic_cr8(const struct lapic *lapic)
{
    return (uint8_t)(lapic->tpr >> 4);
}

/* Is the 8259's request passed to the processor? */
bool lapic_takes_extint(const struct lapic *lapic);
/* The level of LINT0, where the 8259's output is connected. */
void lapic_set_lint0(struct lapic *lapic, bool level);

/* Any thread. False: nobody took the message. */
bool apic_bus_send(struct apic_bus *bus, const struct apic_message *message);

#endif
