/* SPDX-License-Identifier: MIT */
/*
 * The CPU's one-shot timer, in TSC ticks (all CPUs share one TSC rate; ticks a millisecond: timer_khz()).
 * At expiry the CPU calls timer_expired() (kernel/trap.h). It may fire early by less than a microsecond (rounding), or when the
 * distance exceeds the counter: the handler compares with tsc_now() and arms again.
 */
#ifndef KERNEL_TIMER_H
#define KERNEL_TIMER_H

#include <stdint.h>

static inline uint64_t tsc_now(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

void timer_calibrate(void);        // boot CPU, once
void timer_arm(uint64_t deadline); // a deadline in the past fires at once
uint64_t timer_khz(void);

#endif
