/* SPDX-License-Identifier: MIT */
/* The scheduler of one CPU. */
#include "kernel/sched.h"

#include "kernel/assert.h"
#include "kernel/event.h"
#include "kernel/interrupt.h"
#include "kernel/kernel_map.h"
#include "kernel/sm.h"
#include "kernel/switch.h"
#include "kernel/timer.h"
#include "kernel/trap.h"

extern _Noreturn void entry_return(struct regs *regs); // entry.S

void sched_init(struct sched *sched)
{
    sched->armed = ~0ull;
    for (unsigned i = 0; i <= ABI_PRIO_MAX; i++)
        list_init(&sched->ready[i]);
}

void sc_ready(struct sc *sc, bool front)
{
    struct cpu *cpu = cpu_self();
    struct sched *sched = &cpu->sched;

    ASSERT(sc->cpu == cpu->id && !list_is_linked(&sc->queue));
    sc->ready = true;
    sched->bitmap[sc->prio / 64] |= BIT(sc->prio % 64);
    if (front)
        list_push_front(&sched->ready[sc->prio], &sc->queue);
    else
        list_push_back(&sched->ready[sc->prio], &sc->queue);
    if (!cpu->current_sc || sc->prio > cpu->current_sc->prio)
        sched->resched = true;
}

static void dequeue(struct sched *sched, struct sc *sc)
{
    list_remove(&sc->queue);
    sc->ready = false;
    if (list_is_empty(&sched->ready[sc->prio]))
        sched->bitmap[sc->prio / 64] &= ~BIT(sc->prio % 64);
}

/*
 * Charges the current SC for the time since the last look. True if its slice is over (and it has a
 * new one).
 */
static bool account(struct cpu *cpu)
{
    struct sc *sc = cpu->current_sc;
    uint64_t now = tsc_now(), ran = now - cpu->sched.since;

    cpu->sched.since = now;
    __atomic_store_n(&sc->used, sc->used + ran, __ATOMIC_RELAXED);
    if (ran < sc->left) {
        sc->left -= ran;
        return false;
    }
    sc->left = sc->slice;
    return true;
}

void sc_stop(struct sc *sc)
{
    struct cpu *cpu = cpu_self();

    if (cpu->current_sc == sc) {
        cpu->current_sc = NULL;
        cpu->sched.resched = true;
    } else if (sc->ready) {
        dequeue(&cpu->sched, sc);
    } else {
        list_remove(&sc->queue);
    }
}

static void arm(struct sched *sched, uint64_t deadline)
{
    if (deadline < sched->armed) {
        sched->armed = deadline;
        timer_arm(deadline);
    }
}

void timeout_set(struct ec *ec, uint64_t deadline)
{
    struct sched *sched = &cpu_self()->sched;

    ec->timeout.key = deadline;
    ec->timed = true;
    rb_insert(&sched->timeouts, &ec->timeout);
    arm(sched, deadline);
}

void timeout_cancel(struct ec *ec)
{
    if (ec->timed)
        rb_remove(&cpu_self()->sched.timeouts, &ec->timeout);
    ec->timed = false;
}

void timer_expired(void)
{
    struct cpu *cpu = cpu_self();
    struct sched *sched = &cpu->sched;
    uint64_t now = tsc_now();

    sched->armed = ~0ull;
    for (struct rb_node *first;
         (first = rb_first(&sched->timeouts)) != NULL && first->key <= now;) {
        struct ec *ec = rb_entry(first, struct ec, timeout);
        timeout_cancel(ec);
        if (sm_leave(ec)) {
            ec->wake_status = ABI_TIMEOUT;
            ec->wake_value = 0;
            ec_wake(ec);
        }
    }
    struct rb_node *first = rb_first(&sched->timeouts);
    if (first)
        arm(sched, first->key);
    if (!cpu->current_sc)
        return;
    uint64_t ran = now - sched->since;
    if (ran >= cpu->current_sc->left)
        sched->resched = true;
    else
        arm(sched, sched->since + cpu->current_sc->left);
}

void ec_unpark(struct ec *ec)
{
    for (struct list_node *link; (link = list_pop_front(&ec->parked)) != NULL;)
        sc_ready(list_entry(link, struct sc, queue), false);
}

void ec_wake(struct ec *ec)
{
    if (ec->state == EC_BLOCKED) {
        timeout_cancel(ec);
        ec_complete(ec, ec->wake_status, ec->wake_value);
        ec->state = EC_RUNNABLE;
        ec_unpark(ec);
    }
}

void ec_wake_anywhere(struct ec *ec)
{
    if (ec->cpu == cpu_self()->id) {
        ec_wake(ec);
        return;
    }
    struct ec **inbox = &cpu_of(ec->cpu)->sched.inbox;
    ec->inbox_next = __atomic_load_n(inbox, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(inbox, &ec->inbox_next, ec, true, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED)) {
    }
    ipi_send(ec->cpu, IPI_WAKE);
}

void sc_start(struct sc *sc)
{
    if (sc->ec->state == EC_IDLE)
        sc->ec->state = EC_RUNNABLE;
    sc_ready(sc, false);
}

void wake_serve(void)
{
    struct ec **inbox = &cpu_self()->sched.inbox, *in_order = NULL;

    for (struct ec *ec = __atomic_exchange_n(inbox, NULL, __ATOMIC_ACQUIRE), *next; ec; ec = next) {
        next = ec->inbox_next;
        ec->inbox_next = in_order;
        in_order = ec;
    }
    for (struct ec *next; in_order; in_order = next) {
        next = in_order->inbox_next;
        ec_wake(in_order);
    }
}

/* The EC that this SC has to run, from its own along the chain; NULL if there is none now. */
static struct ec *target(struct sc *sc, bool *helped)
{
    struct ec *ec = sc->ec;

    *helped = false;
    for (;;) {
        switch (ec->state) {
        case EC_RUNNABLE:
            return ec;
        case EC_CALLING:
            ec = ec->callee;
            break;
        case EC_HELPING:
            if (ec->callee->state == EC_IDLE) { // free now: call it again
                list_remove(&ec->help_link);
                ec->callee = NULL;
                ec->state = EC_RUNNABLE;
                return ec;
            }
            *helped = true;
            ec = ec->callee;
            break;
        case EC_BLOCKED:
            list_push_back(&ec->parked, &sc->queue);
            return NULL;
        default:
            return NULL;
        }
    }
}

static struct sc *pick(struct sched *sched)
{
    unsigned word = sched->bitmap[1] ? 1 : 0;

    if (!sched->bitmap[word])
        return NULL;
    struct list_node *head = &sched->ready[word * 64 + log2_floor(sched->bitmap[word])];
    struct sc *sc = list_entry(head->next, struct sc, queue);
    dequeue(sched, sc);
    return sc;
}

void schedule_on_top(void)
{
    struct cpu *cpu = cpu_self();
    struct sched *sched = &cpu->sched;

    if (cpu->current_sc) {
        bool over = account(cpu);
        struct sc *sc = cpu->current_sc;
        cpu->current_sc = NULL;
        sc_ready(sc, !over);
    }
    for (;;) {
        sched->resched = false;
        struct sc *sc = pick(sched);
        if (!sc) {
            cpu_idle();
            continue;
        }
        struct ec *ec = target(sc, &sched->helped);
        if (ec) {
            cpu->current_sc = sc;
            sched->since = tsc_now();
            arm(sched, sched->since + sc->left);
            ec_run(ec);
        }
    }
}

void ec_leave(void)
{
    struct cpu *cpu = cpu_self();

    cpu_set_current(NULL);
    paging_load(kernel_map_pml4());
    cpu->sched.resched = true;
}

void ec_run(struct ec *ec)
{
    struct cpu *cpu = cpu_self();
    struct ec *from = cpu->current_ec;

    if (!from) {
        xstate_restore(ec->xstate);
        cpu_set_current(ec);
        switch_pd(cpu, ec->pd);
        msr_write(MSR_FS_BASE, ec->fs_base);
    } else if (from != ec) {
        switch_ec(cpu, from, ec);
    }
    if (__atomic_load_n(&ec->hazard, __ATOMIC_RELAXED))
        event_hazard(ec);
    entry_return(&ec->regs);
}

void trap_return(void)
{
    struct cpu *cpu = cpu_self();

    if (cpu->sched.resched)
        schedule();
    ec_run(cpu->current_ec);
}
