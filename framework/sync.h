/* SPDX-License-Identifier: MIT */
/*
 * Mutex and event over kernel semaphores, for the threads of one component. A mutex costs no hypercall while uncontended and is
 * handed over in the kernel's order (priority, then first come). The semaphores are the component's own; they cannot fail in use.
 * An event is a counting semaphore with one waiting thread at a time; other components may hold its UP side.
 */
#ifndef FRAMEWORK_SYNC_H
#define FRAMEWORK_SYNC_H

#include "framework/hypercall.h"
#include "framework/status.h"

#include <stdbool.h>

struct mutex {
    uint32_t users; // holders and waiters
    uint32_t sm;    // selector
};

/* sm: a semaphore with count 0 that only this mutex uses. */
static inline void mutex_init(struct mutex *mutex, uint32_t sm)
{
    mutex->users = 0;
    mutex->sm = sm;
}

static inline void mutex_lock(struct mutex *mutex)
{
    if (__atomic_fetch_add(&mutex->users, 1, __ATOMIC_ACQUIRE) != 0)
        while (hc_down(mutex->sm, 0, 0) != ABI_OK)
            __asm__ volatile("ud2"); // its semaphore is gone: nothing is protected any more
}

static inline void mutex_unlock(struct mutex *mutex)
{
    if (__atomic_fetch_sub(&mutex->users, 1, __ATOMIC_RELEASE) != 1 && hc_up(mutex->sm) != ABI_OK)
        __asm__ volatile("ud2");
}

#endif
