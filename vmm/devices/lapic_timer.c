/* SPDX-License-Identifier: MIT */
/*
 * The local APIC's timer: one-shot, periodic and TSC-deadline (Intel SDM volume 3, 11.5.4).
 *
 * The count is never stored: it follows from the clock. A period shorter than PERIOD_MIN is right
 * in the count register, but its interrupts come no more often than that: one guest must not keep
 * the device thread busy.
 */
#include "vmm/devices/lapic_internal.h"

#define MODE_MASK     0x60000u
#define MODE_ONESHOT  0x00000u
#define MODE_PERIODIC 0x20000u
#define MODE_DEADLINE 0x40000u
#define PERIOD_MIN_HZ 20000u  // 50 us

static uint32_t mode(const struct lapic *lapic)
{
    return lapic->lvt[LVT_TIMER] & MODE_MASK;
}

/* Divide configuration: bits 3, 1, 0 = 0..6 for 2..128, 7 for 1. */
static unsigned divide_shift(const struct lapic *lapic)
{
    unsigned code = (lapic->timer_divide & 3) | ((lapic->timer_divide & 8) >> 1);

    return (code + 1) & 7;
}

/* Counts since the timer was started. */
static uint64_t elapsed(const struct lapic *lapic)
{
    uint64_t ticks = clock_now(lapic->clock) - lapic->timer_start;

    return clock_to_count(lapic->clock, ticks, LAPIC_TIMER_HZ) >> divide_shift(lapic);
}

static uint64_t deadline_of_count(const struct lapic *lapic, uint64_t count)
{
    return lapic->timer_start +
           clock_from_count(lapic->clock, count << divide_shift(lapic), LAPIC_TIMER_HZ);
}

/* The guest's TSC may be anything: compare in its own terms. */
static bool deadline_passed(const struct lapic *lapic)
{
    return lapic->timer_deadline <= clock_now(lapic->clock) + lapic->tsc_skew;
}

static uint64_t deadline_in_clock(const struct lapic *lapic)
{
    uint64_t now = clock_now(lapic->clock);
    uint64_t left;

    if (!lapic->timer_deadline)
        return CLOCK_NEVER;
    left = lapic->timer_deadline - (now + lapic->tsc_skew);
    if (deadline_passed(lapic))
        return now;
    return left < CLOCK_NEVER - now ? now + left : CLOCK_NEVER;
}

static uint64_t next_deadline(const struct lapic *lapic)
{
    uint64_t initial = lapic->timer_initial;
    uint64_t passed;
    uint64_t next;
    uint64_t soonest;
    uint64_t shortest = lapic->clock->hz / PERIOD_MIN_HZ;

    if (mode(lapic) == MODE_DEADLINE)
        return deadline_in_clock(lapic);
    if (!initial || lapic->timer_over)
        return CLOCK_NEVER;
    passed = elapsed(lapic);
    if (mode(lapic) != MODE_PERIODIC)
        return passed < initial ? deadline_of_count(lapic, initial) : CLOCK_NEVER;
    next = deadline_of_count(lapic, (passed / initial + 1) * initial);
    soonest = clock_now(lapic->clock) + shortest;
    if (deadline_of_count(lapic, initial) - lapic->timer_start >= shortest || next > soonest)
        return next;
    return soonest;
}

void lapic_timer_rearm(struct lapic *lapic)
{
    uint64_t deadline = next_deadline(lapic);

    if (deadline != clock_timer_deadline(lapic->clock, &lapic->timer))
        clock_timer_set(lapic->clock, &lapic->timer, deadline);
}

/*
 * The lock is held. May come after the timer was changed, when nothing is due: a later deadline
 * is then armed already.
 */
void lapic_timer_fire(void *device)
{
    struct lapic *lapic = device;

    if (clock_timer_deadline(lapic->clock, &lapic->timer) != CLOCK_NEVER)
        return;
    switch (mode(lapic)) {
    case MODE_DEADLINE:
        if (!lapic->timer_deadline || !deadline_passed(lapic))
            break;
        lapic->timer_deadline = 0;
        lapic_local_interrupt(lapic, LVT_TIMER);
        return;
    case MODE_ONESHOT:
        if (lapic->timer_initial && elapsed(lapic) >= lapic->timer_initial)
            lapic_local_interrupt(lapic, LVT_TIMER);
        return;
    case MODE_PERIODIC:
        if (lapic->timer_initial)
            lapic_local_interrupt(lapic, LVT_TIMER);
        break;
    default:
        return;
    }
    lapic_timer_rearm(lapic);
}

uint64_t lapic_timer_due(struct lapic *lapic)
{
    return clock_timer_deadline(lapic->clock, &lapic->timer);
}

void lapic_timer_run(struct lapic *lapic)
{
    host_mutex_lock(lapic->lock);
    if (clock_timer_take(lapic->clock, &lapic->timer))
        lapic_timer_fire(lapic);
    host_mutex_unlock(lapic->lock);
}

uint32_t lapic_timer_count(struct lapic *lapic)
{
    uint64_t passed;
    uint32_t count;

    host_mutex_lock(lapic->lock);
    passed = elapsed(lapic);
    if (!lapic->timer_initial || lapic->timer_over || mode(lapic) == MODE_DEADLINE)
        count = 0;
    else if (mode(lapic) == MODE_PERIODIC)
        count = lapic->timer_initial - (uint32_t)(passed % lapic->timer_initial);
    else
        count = passed < lapic->timer_initial ? lapic->timer_initial - (uint32_t)passed : 0;
    host_mutex_unlock(lapic->lock);
    return count;
}

void lapic_timer_write_count(struct lapic *lapic, uint32_t value)
{
    if (mode(lapic) == MODE_DEADLINE)
        return;
    host_mutex_lock(lapic->lock);
    lapic->timer_initial = value;
    lapic->timer_over = 0;
    lapic->timer_start = clock_now(lapic->clock);
    lapic_timer_rearm(lapic);
    host_mutex_unlock(lapic->lock);
}

/* The count at the moment of the change goes on at the new rate. */
void lapic_timer_write_divide(struct lapic *lapic, uint32_t value)
{
    uint64_t passed;

    host_mutex_lock(lapic->lock);
    passed = elapsed(lapic);
    lapic->timer_divide = value;
    if (lapic->timer_initial) {
        uint64_t now = clock_now(lapic->clock);

        lapic->timer_start = 0;
        lapic->timer_start = now - deadline_of_count(lapic, passed);
        lapic_timer_rearm(lapic);
    }
    host_mutex_unlock(lapic->lock);
}

/*
 * Between one-shot and periodic mode the count goes on: what is left of a period is the shot, and a
 * shot that is over starts nothing.
 */
static void carry_over(struct lapic *lapic)
{
    uint64_t passed = elapsed(lapic), initial = lapic->timer_initial;

    if (mode(lapic) == MODE_PERIODIC && initial)
        lapic->timer_start = deadline_of_count(lapic, passed / initial * initial);
    else if (mode(lapic) == MODE_ONESHOT && passed >= initial)
        lapic->timer_over = 1;
}

/* A change from or to TSC-deadline mode disarms the timer; one between the others does not. */
void lapic_timer_write_lvt(struct lapic *lapic, uint32_t value)
{
    host_mutex_lock(lapic->lock);
    if ((value & MODE_MASK) == MODE_MASK)
        value &= ~MODE_MASK; // reserved
    if (((value & MODE_MASK) == MODE_DEADLINE) != (mode(lapic) == MODE_DEADLINE)) {
        lapic->timer_initial = 0;
        lapic->timer_deadline = 0;
    } else if ((value & MODE_MASK) != mode(lapic)) {
        carry_over(lapic);
    }
    lapic->lvt[LVT_TIMER] = value;
    lapic_timer_rearm(lapic);
    host_mutex_unlock(lapic->lock);
}

/* Reads 0 from the moment the deadline has passed, even if the device thread has not come to it. */
uint64_t lapic_timer_read_deadline(struct lapic *lapic)
{
    uint64_t value;

    host_mutex_lock(lapic->lock);
    value = mode(lapic) == MODE_DEADLINE && lapic->timer_deadline && !deadline_passed(lapic)
                ? lapic->timer_deadline : 0;
    host_mutex_unlock(lapic->lock);
    return value;
}

/* A deadline that has passed already needs no timer. */
void lapic_timer_write_deadline(struct lapic *lapic, uint64_t value)
{
    host_mutex_lock(lapic->lock);
    if (mode(lapic) == MODE_DEADLINE) {
        lapic->timer_deadline = value;
        if (value && deadline_passed(lapic)) {
            lapic->timer_deadline = 0;
            lapic_local_interrupt(lapic, LVT_TIMER);
        }
        lapic_timer_rearm(lapic);
    }
    host_mutex_unlock(lapic->lock);
}

void lapic_set_tsc_skew(struct lapic *lapic, uint64_t skew)
{
    host_mutex_lock(lapic->lock);
    lapic->tsc_skew = skew;
    lapic_timer_rearm(lapic);
    host_mutex_unlock(lapic->lock);
}
