/* SPDX-License-Identifier: MIT */
/*
 * Call and reply. The first part of each is the fast path: no capabilities, nobody busy, nothing
 * pending.
 */
#include "kernel/ipc.h"

#include "kernel/event.h"
#include "kernel/hypercall.h"
#include "kernel/switch.h"

#define DESCRIPTOR_BITS (ABI_MSG_WORDS | ABI_MSG_CAPS | 0xfu << ABI_MSG_CAP_SHIFT)
#define HELP_DEPTH      64

/*
 * syscall.S: to user level with these registers, those that an EC keeps across a hypercall, and the
 * others zero.
 */
extern _Noreturn void syscall_enter(struct ec *to, uint64_t id, uint64_t descriptor, uint64_t rip);
extern _Noreturn void syscall_leave(struct ec *to, enum abi_status status, uint64_t value);

/* State, hazard, event flag and kind of an EC in one load. */
static inline uint32_t mode_of(const struct ec *ec)
{
    uint32_t mode;

    __builtin_memcpy(&mode, &ec->state, sizeof mode);
    return mode;
}

#define MODE_IDLE           (EC_IDLE | (uint32_t)ABI_EC_LOCAL << 24)
#define MODE_CALLING_LOCAL  (EC_CALLING | (uint32_t)ABI_EC_LOCAL << 24)
#define MODE_CALLING_THREAD (EC_CALLING | (uint32_t)ABI_EC_THREAD << 24)
_Static_assert(offsetof(struct ec, kind) == offsetof(struct ec, state) + 3, "mode_of");

static inline void copy_words(struct abi_utcb *to, const struct abi_utcb *from, uint64_t words)
{
    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
}

static bool descriptor_good(uint64_t descriptor, const struct ec *from, const struct ec *to)
{
    uint64_t words = descriptor & ABI_MSG_WORDS, caps = descriptor >> ABI_MSG_CAP_SHIFT & 0xf;

    if (descriptor & ~(uint64_t)DESCRIPTOR_BITS || words > ABI_UTCB_WORDS)
        return false;
    if (descriptor & ABI_MSG_CAPS ? caps == 0 || caps > ABI_UTCB_CAPS : caps != 0)
        return false;
    return !descriptor || (from->utcb && to->utcb);
}

bool ipc_help(struct ec *ec, struct ec *callee)
{
    struct ec *end = callee;

    for (unsigned depth = 0; end->callee; depth++) {
        end = end->callee;
        if (end == ec || depth == HELP_DEPTH)
            return false;
    }
    if (end == ec)
        return false;
    ec->state = EC_HELPING;
    ec->callee = callee;
    list_push_back(&callee->helpers, &ec->help_link);
    return true;
}

void ipc_enter(struct ec *ec, struct ec *callee, const struct pt *pt, uint64_t descriptor)
{
    uint64_t rsp = callee->regs.rsp;

    callee->regs = (struct regs){.rdi = pt->id,
                                 .rsi = descriptor,
                                 .rip = pt->rip,
                                 .rflags = USER_RFLAGS,
                                 .rsp = rsp,
                                 .cs = SEL_USER_CODE,
                                 .ss = SEL_USER_DATA};
    callee->caller = ec;
    callee->state = EC_RUNNABLE;
    ec->callee = callee;
    ec->state = EC_CALLING;
}

/*
 * What a call needs, in the order of abi/hypercall.h. On success *portal is one whose EC may be
 * busy.
 */
static enum abi_status check_call(const struct ec *ec, struct pt **portal, struct ec **callee)
{
    uint64_t id = ec->regs.rdi;
    struct pt *pt = pt_of(ec_object(ec, id >> 16, OBJECT_PT, ABI_PERM_PT_CALL));

    if ((id >> 8 & 0xff) & ~(uint64_t)ABI_CALL_NOWAIT)
        return ABI_BAD_HYPERCALL;
    if (!pt)
        return ABI_BAD_CAPABILITY;
    *portal = pt;
    *callee = __atomic_load_n(&pt->ec, __ATOMIC_RELAXED); // once: it changes when the EC dies
    if ((*callee)->state == EC_STOPPED)
        return ABI_ABORTED;
    if ((*callee)->cpu != ec->cpu)
        return ABI_BAD_CPU;
    if (!descriptor_good(ec->regs.rsi, ec, *callee))
        return ABI_BAD_PARAMETER;
    return ABI_OK;
}

/* The callee is not free: wait and help, if the caller wants to. */
static _Noreturn void call_busy(struct ec *ec, struct ec *callee)
{
    if (ec->regs.rdi >> 8 & ABI_CALL_NOWAIT)
        hypercall_finish(ec, ABI_TIMEOUT, 0, 0);
    if (!ipc_help(ec, callee))
        hypercall_finish(ec, ABI_ABORTED, 0, 0);
    ec_restart(ec);
    schedule();
}

/* Any call that the fast path did not take. */
static _Noreturn void call_slow(struct ec *ec)
{
    uint64_t descriptor = ec->regs.rsi;
    bool locked = descriptor & ABI_MSG_CAPS;
    struct pt *pt = NULL;
    struct ec *callee = NULL;

    if (locked)
        tree_lock();
    enum abi_status status = check_call(ec, &pt, &callee);
    bool busy = status == ABI_OK && callee->state != EC_IDLE;
    if (status == ABI_OK && !busy && locked)
        status = ipc_move_caps(ec, callee, descriptor >> ABI_MSG_CAP_SHIFT & 0xf);
    if (locked)
        tree_unlock();
    if (status != ABI_OK)
        hypercall_finish(ec, status, 0, 0);
    if (busy)
        call_busy(ec, callee);
    copy_words(callee->utcb, ec->utcb, descriptor & ABI_MSG_WORDS);
    ipc_enter(ec, callee, pt, descriptor);
    if (cpu_self()->sched.resched)
        schedule();
    ec_run(callee);
}

void ipc_call(struct ec *ec)
{
    uint64_t id = ec->regs.rdi, descriptor = ec->regs.rsi;
    struct pt *pt = pt_of(ec_object(ec, id >> 16, OBJECT_PT, ABI_PERM_PT_CALL));

    if (__builtin_expect(!pt || id & 0xff00 || descriptor > ABI_UTCB_WORDS, 0))
        call_slow(ec);
    struct ec *callee = __atomic_load_n(&pt->ec, __ATOMIC_RELAXED);
    if (__builtin_expect(callee->cpu != ec->cpu || mode_of(callee) != MODE_IDLE, 0))
        call_slow(ec);
    if (descriptor) {
        if (__builtin_expect(!ec->utcb, 0)) // a local EC has one
            call_slow(ec);
        copy_words(callee->utcb, ec->utcb, descriptor);
    }
    callee->caller = ec;
    callee->state = EC_RUNNABLE;
    ec->callee = callee;
    ec->state = EC_CALLING;
    switch_ec(cpu_self(), ec, callee);
    syscall_enter(callee, pt->id, descriptor, pt->rip);
}

/*
 * The answer to a call: with its capabilities, or without if they cannot be delivered. Lock held if
 * there are any.
 */
static uint64_t answer(struct ec *ec, struct ec *caller, uint64_t descriptor)
{
    unsigned caps = descriptor >> ABI_MSG_CAP_SHIFT & 0xf;

    copy_words(caller->utcb, ec->utcb, descriptor & ABI_MSG_WORDS);
    if (caps && ipc_move_caps(ec, caller, caps) != ABI_OK)
        descriptor &= ~((uint64_t)ABI_MSG_CAPS | 0xfu << ABI_MSG_CAP_SHIFT);
    return descriptor;
}

/* Any reply that the fast path did not take. */
static _Noreturn void reply_slow(struct ec *ec)
{
    uint64_t flags = ec->regs.rdi >> 8 & 0xff, descriptor = ec->regs.rsi;

    if (ec->kind != ABI_EC_LOCAL || flags & ~(uint64_t)ABI_REPLY_STOP)
        hypercall_finish(ec, ABI_BAD_HYPERCALL, 0, 0);
    if (descriptor & ABI_MSG_CAPS)
        tree_lock(); // the caller may be gone afterwards
    bool locked = descriptor & ABI_MSG_CAPS;
    struct ec *caller = ec->caller;
    enum abi_status status = ABI_OK;
    bool stop = caller && caller->in_event && flags & ABI_REPLY_STOP;
    if (!descriptor_good(descriptor, ec, caller ? caller : ec))
        status = ABI_BAD_PARAMETER;
    else if (caller && !stop && caller->in_event)
        status = event_reply(caller, ec->utcb, descriptor & ABI_MSG_WORDS);
    else if (caller && !stop)
        ec_complete(caller, ABI_OK, answer(ec, caller, descriptor));
    if (locked)
        tree_unlock();
    if (status != ABI_OK)
        hypercall_finish(ec, status, 0, 0);
    ec->state = EC_IDLE;
    ec->caller = NULL;
    if (caller) {
        caller->callee = NULL;
        caller->in_event = false;
        caller->state = EC_RUNNABLE;
        if (stop)
            ec_stop(caller);
    }
    schedule();
}

void ipc_reply(struct ec *ec)
{
    struct cpu *cpu = cpu_self();
    struct ec *caller = ec->caller;
    uint64_t descriptor = ec->regs.rsi;

    if (__builtin_expect(!caller || ec->regs.rdi & 0xff00 || descriptor > ABI_UTCB_WORDS ||
                             cpu->sched.helped,
                         0))
        reply_slow(ec);
    uint32_t mode = mode_of(caller);
    if (__builtin_expect(mode != MODE_CALLING_THREAD && mode != MODE_CALLING_LOCAL, 0))
        reply_slow(ec);
    if (descriptor) {
        if (__builtin_expect(!caller->utcb, 0))
            reply_slow(ec);
        copy_words(caller->utcb, ec->utcb, descriptor);
    }
    ec->state = EC_IDLE;
    ec->caller = NULL;
    caller->state = EC_RUNNABLE;
    caller->callee = NULL;
    switch_ec(cpu, ec, caller);
    syscall_leave(caller, ABI_OK, descriptor);
}
