/* SPDX-License-Identifier: MIT */
/*
 * The virtual clock of a machine and the timers on it.
 *
 * It counts in ticks of the host's TSC from 0 at power-on, and stands still while the machine is
 * paused. The guest's TSC starts as this clock. A timer fires at its deadline or later, never
 * earlier, on the device thread, with the lock it names held. A callback may come late, or once
 * more after a change: it looks at the clock and does what is due. Arming, and moving a timer,
 * are allowed from any thread, and in callbacks.
 */
#ifndef VMM_CLOCK_H
#define VMM_CLOCK_H

#include "vmm/host.h"
#include "vmm/status.h"

#include <stdbool.h>
#include <stdint.h>

#define CLOCK_NEVER UINT64_MAX
#define CLOCK_END   (1ull << 62) // a deadline from here on never comes

struct clock_timer {
    struct clock_timer *next;  // in the clock's list, by deadline
    uint64_t deadline;         // CLOCK_NEVER: not armed
    struct host_mutex *lock;   // held around fire; may be NULL
    void (*fire)(void *owner);
    void *owner;
};

struct clock {
    struct host *host;
    struct host_mutex *lock;   // of the list
    struct clock_timer *first;
    uint64_t offset;           // now = host ticks + offset
    uint64_t hz;
    uint64_t armed;            // host deadline that host_timer_set() was last given
    uint64_t paused_at;
    bool     paused;
};

enum vmm_status clock_init(struct clock *clock, struct host *host) VMM_MUST_CHECK;
uint64_t clock_now(const struct clock *clock);

/*
 * now * hz / ticks per second, rounded down, without overflow; and the first tick at which that
 * is at least `count`.
 */
uint64_t clock_to_count(const struct clock *clock, uint64_t ticks, uint64_t hz);
uint64_t clock_from_count(const struct clock *clock, uint64_t count, uint64_t hz);

void clock_timer_init(struct clock_timer *timer, struct host_mutex *lock, void (*fire)(void *),
                      void *owner);
/* Arm, move or (CLOCK_NEVER) disarm. */
void clock_timer_set(struct clock *clock, struct clock_timer *timer, uint64_t deadline);

/*
 * When it is armed for, or CLOCK_NEVER; and disarming it if it is due, for somebody who then does its
 * work. Any thread.
 */
uint64_t clock_timer_deadline(struct clock *clock, const struct clock_timer *timer);
bool clock_timer_take(struct clock *clock, struct clock_timer *timer) VMM_MUST_CHECK;

/* Runs what is due; device thread only. */
void clock_run(struct clock *clock);

void clock_pause(struct clock *clock);
void clock_resume(struct clock *clock);

/* a * b / c with a 128-bit product; c > 0; saturates. */
uint64_t clock_muldiv(uint64_t a, uint64_t b, uint64_t c);

#endif
