/* SPDX-License-Identifier: MIT */
/* The virtual clock: conversion between ticks and device counts, and the list of armed timers. */
#include "vmm/clock.h"

#include <stddef.h>

uint64_t clock_muldiv(uint64_t a, uint64_t b, uint64_t c)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    unsigned __int128 result = product / c;

    return result > UINT64_MAX ? UINT64_MAX : (uint64_t)result;
}

enum vmm_status clock_init(struct clock *clock, struct host *host)
{
    clock->host = host;
    clock->lock = host_mutex_create(host);
    clock->first = NULL;
    clock->offset = 0 - host_ticks(host);
    clock->hz = host_ticks_khz(host) * 1000;
    clock->armed = HOST_FOREVER;
    clock->paused_at = 0;
    clock->paused = false;
    if (!clock->lock)
        return VMM_NO_MEMORY;
    return clock->hz ? VMM_OK : VMM_BAD_CONFIG;
}

uint64_t clock_now(const struct clock *clock)
{
    return clock->paused ? clock->paused_at : host_ticks(clock->host) + clock->offset;
}

uint64_t clock_to_count(const struct clock *clock, uint64_t ticks, uint64_t hz)
{
    return clock_muldiv(ticks, hz, clock->hz);
}

uint64_t clock_from_count(const struct clock *clock, uint64_t count, uint64_t hz)
{
    unsigned __int128 product = (unsigned __int128)count * clock->hz + (hz - 1);
    unsigned __int128 result = product / hz;

    return result > UINT64_MAX - 1 ? UINT64_MAX - 1 : (uint64_t)result;
}

/*
 * With the clock's lock held: have the host call at the first deadline, if it would not call by
 * then anyway.
 */
static void arm(struct clock *clock)
{
    uint64_t deadline;

    if (!clock->first || clock->paused)
        return;
    deadline = clock->first->deadline - clock->offset;
    if (deadline < clock->armed) {
        clock->armed = deadline;
        host_timer_set(clock->host, deadline);
    }
}

void clock_timer_init(struct clock_timer *timer, struct host_mutex *lock, void (*fire)(void *),
                      void *owner)
{
    timer->next = NULL;
    timer->deadline = CLOCK_NEVER;
    timer->lock = lock;
    timer->fire = fire;
    timer->owner = owner;
}

static void unlink_timer(struct clock *clock, struct clock_timer *timer)
{
    struct clock_timer **at = &clock->first;

    if (timer->deadline == CLOCK_NEVER)
        return;
    while (*at != timer)
        at = &(*at)->next;
    *at = timer->next;
    timer->deadline = CLOCK_NEVER;
}

void clock_timer_set(struct clock *clock, struct clock_timer *timer, uint64_t deadline)
{
    struct clock_timer **at = &clock->first;

    host_mutex_lock(clock->lock);
    unlink_timer(clock, timer);
    if (deadline < CLOCK_END) {
        while (*at && (*at)->deadline <= deadline)
            at = &(*at)->next;
        timer->deadline = deadline;
        timer->next = *at;
        *at = timer;
        arm(clock);
    }
    host_mutex_unlock(clock->lock);
}

uint64_t clock_timer_deadline(struct clock *clock, const struct clock_timer *timer)
{
    uint64_t deadline;

    host_mutex_lock(clock->lock);
    deadline = timer->deadline;
    host_mutex_unlock(clock->lock);
    return deadline;
}

bool clock_timer_take(struct clock *clock, struct clock_timer *timer)
{
    bool due;

    host_mutex_lock(clock->lock);
    due = timer->deadline <= clock_now(clock) && !clock->paused;
    if (due)
        unlink_timer(clock, timer);
    host_mutex_unlock(clock->lock);
    return due;
}

/* Takes the first timer that is due off the list. */
static struct clock_timer *take_due(struct clock *clock, uint64_t now)
{
    struct clock_timer *timer;

    host_mutex_lock(clock->lock);
    timer = clock->first;
    if (timer && timer->deadline <= now && !clock->paused) {
        unlink_timer(clock, timer);
    } else {
        timer = NULL;
        clock->armed = HOST_FOREVER;
        arm(clock);
    }
    host_mutex_unlock(clock->lock);
    return timer;
}

/*
 * Only timers due at the time of the call are run, so that a timer whose period is shorter than
 * its callback cannot keep the device thread here; take_due() has the host call again at once for
 * those.
 */
void clock_run(struct clock *clock)
{
    uint64_t now = clock_now(clock);
    struct clock_timer *timer;

    while ((timer = take_due(clock, now)) != NULL) {
        if (timer->lock)
            host_mutex_lock(timer->lock);
        timer->fire(timer->owner);
        if (timer->lock)
            host_mutex_unlock(timer->lock);
    }
}

void clock_pause(struct clock *clock)
{
    host_mutex_lock(clock->lock);
    if (!clock->paused) {
        clock->paused_at = clock_now(clock);
        clock->paused = true;
    }
    host_mutex_unlock(clock->lock);
}

void clock_resume(struct clock *clock)
{
    host_mutex_lock(clock->lock);
    if (clock->paused) {
        clock->offset = clock->paused_at - host_ticks(clock->host);
        clock->paused = false;
        clock->armed = HOST_FOREVER;
        arm(clock);
    }
    host_mutex_unlock(clock->lock);
}
