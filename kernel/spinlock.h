/* SPDX-License-Identifier: MIT */
/*
 * A ticket lock. Interrupts are off in the kernel, so there is no irq-saving variant. The ticket form is for a lock whose waiter has to
 * do something (serve rendezvous requests) while it waits:
 *     uint32_t ticket = spinlock_ticket(&l);
 *     while (!spinlock_is_mine(&l, ticket))
 *         rendezvous_serve();
 */
#ifndef KERNEL_SPINLOCK_H
#define KERNEL_SPINLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct spinlock {
    uint32_t next;
    uint32_t serving;
};

static inline uint32_t spinlock_ticket(struct spinlock *lock)
{
    return __atomic_fetch_add(&lock->next, 1, __ATOMIC_RELAXED);
}

static inline bool spinlock_is_mine(struct spinlock *lock, uint32_t ticket)
{
    return __atomic_load_n(&lock->serving, __ATOMIC_ACQUIRE) == ticket;
}

static inline void spinlock_lock(struct spinlock *lock)
{
    uint32_t ticket = spinlock_ticket(lock);
    while (!spinlock_is_mine(lock, ticket))
        __builtin_ia32_pause();
}

static inline void spinlock_unlock(struct spinlock *lock)
{
    __atomic_store_n(&lock->serving, lock->serving + 1, __ATOMIC_RELEASE);
}

#endif
