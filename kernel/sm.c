/* SPDX-License-Identifier: MIT */
/* Semaphores and interrupts. */
#include "kernel/sm.h"

#include "kernel/cpu.h"
#include "kernel/interrupt.h"
#include "kernel/pd.h"
#include "kernel/timer.h"
#include "kernel/trap.h"

static struct sm *interrupts[INTERRUPT_PIN_MAX + INTERRUPT_MSI_MAX]; // constant after boot

struct sm *sm_create(struct pd *pd, uint64_t count)
{
    struct sm *sm = slab_alloc(pd, sizeof *sm);

    if (!sm)
        return NULL;
    sm->count = count;
    object_init(&sm->object, OBJECT_SM, pd);
    return sm;
}

void sm_bind_interrupt(struct sm *sm, unsigned source)
{
    sm->source = source + 1;
    interrupts[source] = sm;
}

/* The first waiter goes on with a status. The lock is held. */
static void wake_first(struct sm *sm, enum abi_status status, uint64_t value)
{
    struct ec *ec = rb_entry(rb_first(&sm->waiters), struct ec, sm_node);

    rb_remove(&sm->waiters, &ec->sm_node);
    ec->sm = NULL;
    ec->wake_status = (uint8_t)status;
    ec->wake_value = value;
    ec_wake_anywhere(ec);
}

enum abi_status sm_up(struct sm *sm)
{
    enum abi_status status = ABI_OK;

    spinlock_lock(&sm->lock);
    if (sm->waiters.root)
        wake_first(sm, ABI_OK, 1);
    else if (sm->count == UINT64_MAX)
        status = ABI_OVERFLOW;
    else
        sm->count++;
    spinlock_unlock(&sm->lock);
    return status;
}

static void block(struct ec *ec, struct sm *sm, uint64_t deadline)
{
    ec->state = EC_BLOCKED;
    ec->sm = sm;
    ec->sm_node.key = ABI_PRIO_MAX - cpu_self()->current_sc->prio;
    rb_insert(&sm->waiters, &ec->sm_node);
    spinlock_unlock(&sm->lock);
    if (deadline)
        timeout_set(ec, deadline);
    schedule();
}

enum abi_status sm_down(struct ec *ec, struct sm *sm, unsigned flags, uint64_t deadline,
                        uint64_t *taken)
{
    enum abi_status status = ABI_OK;

    if (sm->source && !(flags & ABI_SM_MASKED) && interrupt_is_level(sm->source - 1))
        interrupt_set_mask(sm->source - 1, false);
    spinlock_lock(&sm->lock);
    if (sm->count) {
        *taken = flags & ABI_SM_ALL ? sm->count : 1;
        sm->count -= *taken;
    } else if (sm->dead) {
        status = ABI_ABORTED;
    } else if (deadline && deadline <= tsc_now()) {
        status = ABI_TIMEOUT;
    } else {
        block(ec, sm, deadline);
    }
    spinlock_unlock(&sm->lock);
    return status;
}

bool sm_leave(struct ec *ec)
{
    struct sm *sm = __atomic_load_n(&ec->sm, __ATOMIC_ACQUIRE);

    if (!sm)
        return false;
    spinlock_lock(&sm->lock);
    bool queued = ec->sm == sm;
    if (queued) {
        rb_remove(&sm->waiters, &ec->sm_node);
        ec->sm = NULL;
    }
    spinlock_unlock(&sm->lock);
    return queued;
}

void sm_abort(struct sm *sm)
{
    spinlock_lock(&sm->lock);
    sm->dead = true;
    while (sm->waiters.root)
        wake_first(sm, ABI_ABORTED, 0);
    spinlock_unlock(&sm->lock);
}

void interrupt_fired(unsigned source)
{
    if (interrupts[source])
        (void)!sm_up(interrupts[source]); // a count that is full says enough
}
