/* SPDX-License-Identifier: MIT */
/*
 * A host for tests: a clock that moves only when told, memory from malloc, consoles that record.
 * One thread.
 *
 * Locks are checked: taking one twice, or releasing one that is free, ends the program. Time runs
 * at 1 GHz from an odd start.
 */
#ifndef TESTS_VMM_FAKE_HOST_H
#define TESTS_VMM_FAKE_HOST_H

#include "vmm/clock.h"
#include "vmm/host.h"

#define FAKE_HZ      1000000000ull
#define FAKE_CONSOLE 4096u
#define FAKE_KEPT    512u
#define FAKE_WALL    1700000000ull // seconds since 1970 when the host starts: 2023-11-14 22:13:20

struct host {
    uint64_t ticks;
    uint64_t deadline;         // of host_timer_set()
    unsigned timer_calls;
    uint8_t *guest;
    uint64_t guest_size;
    unsigned chunks;           // guest RAM is given in so many pieces, 0: one
    uint8_t console[HOST_CONSOLES][FAKE_CONSOLE];
    size_t console_size[HOST_CONSOLES];
    size_t console_room;       // further bytes that the consoles take
    unsigned resumed;
    unsigned locks_held;
    char log[4096];
    size_t log_size;
    bool ended;
    unsigned signals;          // host_event_signal() calls
    void *kept[FAKE_KEPT];     // locks and events
    unsigned kept_count;
    void (*wait)(struct host *host); // called by host_event_wait() on an event without signals
};

struct host *fake_host_new(uint64_t guest_size);
void fake_host_free(struct host *host);
/* Lets time pass, running the clock's timers at their deadlines, as the device thread would. */
void fake_host_pass(struct host *host, struct clock *clock, uint64_t nanoseconds);

#endif
