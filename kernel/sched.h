/* SPDX-License-Identifier: MIT */
/*
 * Scheduling contexts and the scheduler of one CPU: 128 fixed priorities, round robin by time slice within one.
 *
 * A dispatched SC starts at its own EC and follows the chain of calls and of helping to the EC that can run (sc_target). If that one is blocked the SC
 * is parked there until it wakes. struct sched belongs to its CPU; only `inbox` is pushed to by others.
 */
#ifndef KERNEL_SCHED_H
#define KERNEL_SCHED_H

#include "kernel/ec.h"

struct sc {
    struct object object;
    struct ec *ec;            // counted reference; NULL once that has died
    struct list_node queue;   // in a ready queue, or parked on an EC; else linked to itself
    uint16_t cpu;
    uint8_t prio;
    bool ready;               // on a ready queue
    uint64_t slice;           // TSC ticks
    uint64_t left;            // of the slice
    uint64_t used;            // TSC ticks run in all
};

struct sched {
    uint64_t bitmap[2];
    struct list_node ready[ABI_PRIO_MAX + 1];
    struct rb_tree timeouts;  // ECs by deadline
    struct ec *inbox;         // woken by other CPUs, last first
    uint64_t since;           // when the current SC was dispatched
    uint64_t armed;           // deadline that the timer is set to; ~0 none
    bool resched;             // look at the ready queue before going back to user level
    bool helped;              // the current EC was reached through a helping link
};

void sched_init(struct sched *sched);

/* Pick the SC of the highest priority and run it. Does not return; the stack is given up. */
_Noreturn void schedule(void);

/* Continue the current EC at user level, or whatever is more urgent. */
_Noreturn void sched_return(void);

void sc_ready(struct sc *sc, bool front);    // put into the queue of this CPU; preempts what is lower
void sc_kill(struct sc *sc);                 // on its CPU
void ec_block(struct ec *ec, struct sm *sm); // see kernel/sm.c
void ec_wake(struct ec *ec);                 // on its CPU: taken off its semaphore; completes its hypercall
void ec_wake_remote(struct ec *ec);          // on any CPU

/* Set a deadline for a blocked EC of this CPU; 0 none. */
void timeout_set(struct ec *ec, uint64_t deadline);
void timeout_cancel(struct ec *ec);

/* Switch vector state, address space and so on, so that `ec` is the current EC. */
void ec_switch(struct ec *to);

#endif
