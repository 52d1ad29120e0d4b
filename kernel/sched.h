/* SPDX-License-Identifier: MIT */
/*
 * Scheduling contexts and the scheduler of one CPU: 128 fixed priorities, round robin by time slice
 * within one.
 *
 * A dispatched SC starts at its own EC and follows the chain of calls and of helping to the EC that
 * can run. If that one is blocked the SC is parked there until it wakes. struct sched belongs to
 * its CPU; only `inbox` is pushed to by others.
 *
 * cpu->current_ec is the EC whose vector state and address space are loaded, NULL if there is none;
 * it stays while the CPU idles.
 */
#ifndef KERNEL_SCHED_H
#define KERNEL_SCHED_H

#include "kernel/ec.h"

struct sc {
    struct object object;
    struct list_node queue;   // in a ready queue, or parked on an EC; else linked to itself
    struct ec *ec;            // ec_dead once it has died
    uint16_t cpu;
    uint8_t prio;
    bool ready;               // on a ready queue
    uint64_t slice;           // TSC ticks
    uint64_t left;            // of the slice
    uint64_t used;            // TSC ticks run in all
};

struct sched {
    uint64_t since;           // when its time was last accounted
    uint64_t armed;           // deadline that the timer is set to; ~0 none
    struct ec *inbox;         // woken by other CPUs, last first
    bool resched;             // look at the ready queue before going back to user level
    bool helped;              // the current EC was reached through a helping link
    struct rb_tree timeouts;  // ECs by deadline
    uint64_t bitmap[2];
    struct list_node ready[ABI_PRIO_MAX + 1];
};

void sched_init(struct sched *sched);

/* Picks the SC of the highest priority and runs it. The stack is given up. */
_Noreturn void schedule(void); // leaves the stack (syscall.S), then:
_Noreturn void schedule_on_top(void);

void sc_ready(struct sc *sc, bool front); // on its CPU: into the ready queue
void sc_start(struct sc *sc);             // on its CPU: a new one begins to compete
void sc_stop(struct sc *sc);              // on its CPU: it never runs again

void ec_wake(struct ec *ec);              // on its CPU: off its semaphore with wake_status
void ec_wake_anywhere(struct ec *ec);     // on any CPU
void ec_unpark(struct ec *ec);            // on its CPU: the SCs parked on it find their way anew

/* A deadline for a blocked EC of this CPU. */
void timeout_set(struct ec *ec, uint64_t deadline);
void timeout_cancel(struct ec *ec);

/* Goes on with an EC of this CPU at user level, on the current SC. */
_Noreturn void ec_run(struct ec *ec);
/* The current EC, if any, is about to go away: nothing of it stays loaded. */
void ec_leave(void);

#endif
