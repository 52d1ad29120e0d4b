/* SPDX-License-Identifier: MIT */
/* Exceptions and recalls of threads as messages. */
#include "kernel/event.h"

#include "kernel/ipc.h"
#include "kernel/switch.h"
#include "kernel/trap.h"
#include "lib/string.h"

#define WORDS_IP  (offsetof(struct abi_event, gpr) / 8)
#define WORDS_ALL (sizeof(struct abi_event) / 8)
#define GROUPS    (ABI_EVENT_GROUP_GPR | ABI_EVENT_GROUP_IP)

#define AT(r) offsetof(struct regs, r)

/* Offsets in struct regs by encoding; RSP travels with RIP. */
static const uint8_t gpr_offset[16] = {
    AT(rax), AT(rcx), AT(rdx), AT(rbx), AT(rsp), AT(rbp), AT(rsi), AT(rdi),
    AT(r8),  AT(r9),  AT(r10), AT(r11), AT(r12), AT(r13), AT(r14), AT(r15),
};

static uint64_t *gpr(struct regs *regs, unsigned i)
{
    return (uint64_t *)(void *)((char *)regs + gpr_offset[i]);
}

/* Fills in the message. Returns the number of its words. */
static unsigned compose(struct ec *ec, struct abi_utcb *utcb, uint64_t groups)
{
    struct abi_event event = {.groups = groups,
                              .vector = ec->event_vector,
                              .error = ec->event_error,
                              .cr2 = ec->event_cr2};
    unsigned words = offsetof(struct abi_event, rip) / 8;

    if (groups & ABI_EVENT_GROUP_IP) {
        event.rip = ec->regs.rip;
        event.rsp = ec->regs.rsp;
        event.rflags = ec->regs.rflags;
        words = WORDS_IP;
    }
    if (groups & ABI_EVENT_GROUP_GPR) {
        for (unsigned i = 0; i < 16; i++)
            event.gpr[i] = i == 4 ? 0 : *gpr(&ec->regs, i);
        words = WORDS_ALL;
    }
    memcpy(utcb->word, &event, words * 8ul);
    return words;
}

/* The event that is noted in the EC becomes a call to its portal. */
static void deliver(struct ec *ec)
{
    uint64_t sel = ec->event_base + ec->event_vector;
    struct object *object =
        ec->event_base > ABI_SEL_MAX ? NULL : ec_object(ec, sel, OBJECT_PT, ABI_PERM_PT_EVENT);
    struct pt *pt = pt_of(object);
    struct ec *callee = pt ? __atomic_load_n(&pt->ec, __ATOMIC_RELAXED) : NULL;

    if (!pt || callee->cpu != ec->cpu || callee->state == EC_STOPPED || !callee->utcb) {
        __atomic_and_fetch(&ec->hazard, (uint8_t)~EC_HAZARD_EVENT, __ATOMIC_RELAXED);
        if (ec->event_vector == ABI_EVENT_RECALL)
            return;
        ec_stop(ec);
        schedule();
    }
    if (callee->state == EC_IDLE) {
        __atomic_and_fetch(&ec->hazard, (uint8_t)~EC_HAZARD_EVENT, __ATOMIC_RELAXED);
        ipc_enter(ec, callee, pt, compose(ec, callee->utcb, pt->groups & GROUPS));
        ec->in_event = true;
        if (cpu_self()->sched.resched)
            schedule();
        ec_run(callee);
    }
    if (!ipc_help(ec, callee)) // its handler waits for itself
        ec_stop(ec);
    schedule();
}

static void note(struct ec *ec, uint64_t vector, uint64_t error, uint64_t cr2)
{
    ec->event_vector = vector;
    ec->event_error = error;
    ec->event_cr2 = cr2;
    __atomic_or_fetch(&ec->hazard, EC_HAZARD_EVENT, __ATOMIC_RELAXED);
}

void trap_exception(struct ec *ec, uint64_t vector, uint64_t error, uint64_t cr2)
{
    note(ec, vector, error, vector == 14 ? cr2 : 0);
    if (cpu_self()->sched.resched)
        schedule();
    ec_run(ec);
}

void event_hazard(struct ec *ec)
{
    if (ec->hazard & EC_HAZARD_EVENT)
        deliver(ec);
    if (ec->hazard & EC_HAZARD_RECALL) {
        __atomic_and_fetch(&ec->hazard, (uint8_t)~EC_HAZARD_RECALL, __ATOMIC_RELAXED);
        note(ec, ABI_EVENT_RECALL, 0, 0);
        deliver(ec);
    }
}

enum abi_status event_reply(struct ec *ec, const struct abi_utcb *utcb, unsigned words)
{
    struct abi_event event;

    if (words == 0)
        return ABI_OK;
    memcpy(&event, utcb->word, sizeof event);
    if (event.groups & ~(uint64_t)GROUPS ||
        (event.groups & ABI_EVENT_GROUP_GPR && words < WORDS_ALL) ||
        (event.groups & ABI_EVENT_GROUP_IP && words < WORDS_IP))
        return ABI_BAD_PARAMETER;
    if (event.groups & ABI_EVENT_GROUP_IP) {
        if (event.rip >= ABI_USER_END || event.rsp >= ABI_USER_END ||
            event.rflags & ~(uint64_t)(USER_RFLAGS_MASK | USER_RFLAGS))
            return ABI_BAD_PARAMETER;
        ec->regs.rip = event.rip;
        ec->regs.rsp = event.rsp;
        ec->regs.rflags = event.rflags | USER_RFLAGS;
    }
    for (unsigned i = 0; event.groups & ABI_EVENT_GROUP_GPR && i < 16; i++)
        if (i != 4)
            *gpr(&ec->regs, i) = event.gpr[i];
    return ABI_OK;
}
