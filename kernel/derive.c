/* SPDX-License-Identifier: MIT */
/* The hypercalls that derive and revoke. */
#include "kernel/cpu.h"
#include "kernel/delegate.h"
#include "kernel/hypercall.h"
#include "kernel/revoke.h"

struct result derive_delegate(struct ec *ec)
{
    const struct regs *r = &ec->regs;
    struct result result = {ABI_BAD_CAPABILITY, 0};

    if (r->r9 & ~0xffffull)
        return status_result(ABI_BAD_PARAMETER);
    tree_lock();
    struct delegation d = {.source = live_space(ec, hypercall_sel(ec), ABI_PERM_SPACE_GRANT),
                           .target = live_space(ec, r->rsi, ABI_PERM_SPACE_TAKE),
                           .source_base = r->rdx, .target_base = r->rax, .count = r->r8,
                           .perms = (uint8_t)r->r9, .cache = (uint8_t)(r->r9 >> 8)};
    if (d.source && d.target && d.target->root)
        result.status = delegate(&d, &result.value);
    tree_unlock();
    if (result.status != ABI_OK)
        result.value = 0;
    return result;
}

/* One batch. True: the call is over with *status. The EC may be dead afterwards. */
static bool revoke_batch(struct ec *ec, enum abi_status *status)
{
    uint64_t base = ec->regs.rsi, count = ec->regs.rdx;
    bool self = hypercall_flags(ec) & ABI_REVOKE_SELF, done = true;
    struct batch batch;

    tree_lock();
    list_remove(&ec->revoke_link);
    struct space *space = live_space(ec, hypercall_sel(ec), ABI_PERM_SPACE_REVOKE);
    *status = ABI_OK;
    if (!space) {
        *status = ABI_BAD_CAPABILITY;
    } else if (!count || !range_fits(base, count, space_limit(space))) {
        *status = ABI_BAD_PARAMETER;
    } else {
        batch_init(&batch);
        done = revoke_some(space, base, count, self, &batch);
        if (!done) { // until then nothing new is derived there
            ec->revoke_base = base;
            ec->revoke_count = count;
            list_push_back(&space->revokes, &ec->revoke_link);
        }
        batch_finish(&batch);
    }
    tree_unlock();
    return done;
}

struct result derive_revoke(struct ec *ec)
{
    struct cpu *cpu = cpu_self();
    enum abi_status status;

    while (!revoke_batch(ec, &status)) {
        if (cpu->current_ec)
            cpu_take_interrupts();
        if (!cpu->current_ec)
            schedule();
        if (cpu->sched.resched || ec->hazard) {
            ec_restart(ec);
            if (cpu->sched.resched)
                schedule();
            ec_run(ec);
        }
    }
    return status_result(status);
}
