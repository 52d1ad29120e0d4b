/* SPDX-License-Identifier: MIT */
/* Servers: local ECs for calls, one thread for signals, one lock. */
#include "framework/base/entry.h"
#include "framework/component.h"
#include "framework/entrypoint.h"
#include "framework/io.h"
#include "framework/slots.h"
#include "lib/align.h"
#include "lib/string.h"

#define PORTAL_ADDRESS 0x0000ffffffffffffull // the generation is above it
#define LOCK_PATIENCE_US 1000

/* After a message with so many capabilities, and after the requests of a handler, which close the window: open one for the next. */
static void window_open(struct entrypoint *entrypoint, struct abi_utcb *utcb, unsigned caps)
{
    uint32_t *window = &entrypoint->window[cpu_self()];

    if (!entrypoint->window_slots)
        return;
    if (*window && caps)
        (void)hc_remove(SEL_OBJ, *window, entrypoint->window_slots); // not kept; the slots are ours
    if (!*window)
        *window = slots_alloc(entrypoint->window_slots);
    if (*window == SEL_NONE)
        *window = 0;
    utcb->window_base = *window;
    utcb->window_count = *window ? entrypoint->window_slots : 0;
}

enum status entrypoint_open_windows(struct entrypoint *entrypoint, unsigned slots)
{
    entrypoint->window_slots = slots;
    for (unsigned cpu = 0; cpu < ABI_CPU_MAX; cpu++) {
        struct abi_utcb *utcb;

        if (!entrypoint->local[cpu])
            continue;
        utcb = entrypoint->local[cpu]->self->utcb;
        entrypoint->window[cpu] = slots_alloc(slots);
        if (entrypoint->window[cpu] == SEL_NONE)
            return STATUS_QUOTA;
        utcb->window_base = entrypoint->window[cpu];
        utcb->window_count = slots;
    }
    return STATUS_OK;
}

uint32_t entrypoint_keep(struct entrypoint *entrypoint)
{
    uint32_t *window = &entrypoint->window[cpu_self()], kept = *window;

    *window = 0;
    return kept;
}

ENTRY_STUB(entrypoint_entry, entrypoint_handle);

/*
 * The holder may be a call whose caller was destroyed, or one of low priority on another CPU, behind others that are in
 * no hurry: the keepers run what is unfinished on their CPUs.
 */
static void lock_patiently(struct entrypoint *entrypoint)
{
    uint64_t patience;

    if (__atomic_fetch_add(&entrypoint->lock.users, 1, __ATOMIC_ACQUIRE) == 0)
        return;
    patience = tsc_of_us(LOCK_PATIENCE_US, component_info()->tsc_khz);
    while (hc_down(entrypoint->lock.sm, 0, tsc_now() + patience) != ABI_OK)
        for (unsigned cpu = 0; cpu < ABI_CPU_MAX; cpu++)
            if (entrypoint->keepers[cpu])
                (void)hc_up(entrypoint->keepers[cpu]->done); // overflow: it is awake
}

struct entry_reply entrypoint_handle(uint64_t id, uint64_t message)
{
    struct portal *portal = (struct portal *)(id & PORTAL_ADDRESS);
    struct entrypoint *entrypoint = portal->entrypoint;
    struct abi_utcb *utcb = utcb_self();
    struct entry_reply reply = {.message = 1};

    lock_patiently(entrypoint);
    if (portal->handler && portal->generation == (uint16_t)(id >> 48))
        reply.message = portal->handler(portal->object, utcb, message);
    else
        utcb->word[0] = STATUS_ABORTED;
    window_open(entrypoint, utcb, message_caps(message));
    mutex_unlock(&entrypoint->lock);
    return reply;
}

enum status portal_make(struct entrypoint *entrypoint, unsigned cpu, entry_handler handler, void *object,
                        struct portal **result)
{
    struct portal *portal = entrypoint->portals;
    enum status status;

    while (portal < entrypoint->portals + entrypoint->portal_count && portal->handler)
        portal++;
    if (portal == entrypoint->portals + entrypoint->portal_count)
        return STATUS_QUOTA;
    if (cpu >= ABI_CPU_MAX || !entrypoint->local[cpu])
        return STATUS_INVALID;
    portal->selector = slots_alloc(1);
    if (portal->selector == SEL_NONE)
        return STATUS_QUOTA;
    portal->generation++;
    status = status_of(hc_create_portal(portal->selector, SEL_PD, entrypoint->local[cpu]->ec, (uint64_t)entrypoint_entry,
                                        (uint64_t)portal | (uint64_t)portal->generation << 48));
    if (status != STATUS_OK) {
        slots_free(portal->selector, 1);
        return status;
    }
    portal->entrypoint = entrypoint;
    portal->handler = handler;
    portal->object = object;
    portal->cpu = (uint16_t)cpu;
    *result = portal;
    return STATUS_OK;
}

void portal_end(struct portal *portal)
{
    portal->handler = NULL;
    slots_remove(portal->selector, 1);
}

void entrypoint_raise(struct entrypoint *entrypoint, uint64_t bits)
{
    if (!(__atomic_fetch_or(&entrypoint->pending, bits, __ATOMIC_RELEASE) & bits))
        (void)hc_up(entrypoint->signal); // refused only if it overflows: the thread is awake then
}

/* A call that does nothing but to run what is unfinished on this CPU. */
static void nudge(struct entrypoint *entrypoint, unsigned cpu)
{
    uint64_t message = 0;

    (void)hc_call(entrypoint->nudge[cpu]->selector, &message); // its only effect is the time it gives
}

static uint64_t nudged(void *object, struct abi_utcb *utcb, uint64_t message)
{
    (void)object, (void)utcb, (void)message;
    return 0;
}

/* Its `done` semaphore is not used for its end, since it has none: it wakes the keeper. */
static void keeper(void *argument)
{
    struct entrypoint *entrypoint = argument;
    unsigned cpu = cpu_self();

    while (hc_down(entrypoint->keepers[cpu]->done, ABI_SM_ALL, 0) == ABI_OK)
        nudge(entrypoint, cpu);
}

static MUST_CHECK enum status cpu_init(struct entrypoint *entrypoint, unsigned cpu)
{
    struct thread_config config = {.function = keeper, .argument = entrypoint, .cpu = cpu, .stack = PAGE_SIZE};
    struct thread *threads = heap_alloc(2 * sizeof *threads);
    enum status status;

    if (!threads)
        return STATUS_QUOTA;
    status = thread_local_ec(&threads[0], cpu, 0);
    if (status != STATUS_OK)
        return status;
    entrypoint->local[cpu] = &threads[0];
    status = portal_make(entrypoint, cpu, nudged, NULL, &entrypoint->nudge[cpu]);
    if (status != STATUS_OK)
        return status;
    entrypoint->keepers[cpu] = &threads[1];
    return thread_start(&threads[1], &config);
}

enum status entrypoint_init(struct entrypoint *entrypoint, uint64_t cpu_mask, struct portal *portals, unsigned count,
                            signal_handler signalled, void *context)
{
    uint32_t slots = slots_alloc(2);
    enum status status;

    memset(entrypoint, 0, sizeof *entrypoint);
    memset(portals, 0, count * sizeof *portals);
    if (slots == SEL_NONE)
        return STATUS_QUOTA;
    entrypoint->portals = portals;
    entrypoint->portal_count = count;
    entrypoint->signalled = signalled;
    entrypoint->context = context;
    entrypoint->cpu_mask = cpu_mask;
    entrypoint->signal = slots;
    mutex_init(&entrypoint->lock, slots + 1);
    status = status_of(hc_create_sm(slots, SEL_PD, 0));
    if (status == STATUS_OK)
        status = status_of(hc_create_sm(slots + 1, SEL_PD, 0));
    for (unsigned cpu = 0; cpu < ABI_CPU_MAX && status == STATUS_OK; cpu++)
        if (cpu_mask >> cpu & 1)
            status = cpu_init(entrypoint, cpu);
    return status;
}

void entrypoint_run(struct entrypoint *entrypoint)
{
    for (;;) {
        uint64_t bits;
        enum abi_status status = hc_down(entrypoint->signal, ABI_SM_ALL, entrypoint->deadline);

        if (status != ABI_OK && status != ABI_TIMEOUT)
            __builtin_trap();
        bits = __atomic_exchange_n(&entrypoint->pending, 0, __ATOMIC_ACQUIRE);
        lock_patiently(entrypoint);
        entrypoint->signalled(entrypoint->context, bits);
        mutex_unlock(&entrypoint->lock);
    }
}
