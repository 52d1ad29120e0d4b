/* SPDX-License-Identifier: MIT */
/* What surrounds a generator: its sandbox, and fixtures for what a call alone cannot bring about. */
#include "random.h"

#define PRIO_BUSY   60 // above the generator: takes up its server again whenever that came free
#define PRIO_REAPER 45 // below it: runs when the generator waits
#define PRIO_RUNNER 1
#define HOLD_US     50000

static uint64_t make_thread(struct generator *g, enum fixture at, enum page page, void (*entry)(uint64_t), uint64_t prio)
{
    uint64_t status = create_thread(g->fixture + at, OWN_PD, page_of(g, page), g->cpu, thread_stack(entry), ~0ull,
                                    (uint64_t)thread_entry);
    return status ? status : create_sc(g->fixture + at + 1, OWN_PD, g->fixture + at, prio, 1000);
}

/* The end of a thread: its fixtures are being destroyed. */
static void rest(void)
{
    for (;;)
        sm_down(ABI_SEL_FREE, 0, 0, 0);
}

/* The busy server waits for what never comes, but not for ever: a caller that does not mind waiting gets its answer then. */
static uint64_t wait_long(uint64_t id, uint64_t descriptor)
{
    sm_down(id, 0, tsc() + ticks(HOLD_US), 0);
    return descriptor & 0;
}

static void keep_busy(uint64_t utcb)
{
    const struct generator *g = generator_of(utcb);
    for (uint64_t descriptor = 0; ipc_call(g->fixture + FIX_BUSY_PT, 0, &descriptor) == ABI_OK; descriptor = 0)
        ;
    rest();
}

static void run_vcpu(uint64_t utcb)
{
    const struct generator *g = generator_of(utcb);
    uint64_t reason;
    while (vcpu_run(g->fixture + FIX_VCPU, &reason) == ABI_OK)
        ;
    rest();
}

static void reap(uint64_t utcb)
{
    const struct generator *g = generator_of(utcb);
    while (sm_down(g->fixture + FIX_GO, 0, 0, 0) == ABI_OK)
        revoke(OWN_OBJ, g->fixture + FIX_DOOMED, 1, ABI_REVOKE_SELF);
    rest();
}

/* Guests with nothing sensible to run may run for ever: this one, above all others, ends their turns; and the victim's life. */
static void recall_all(uint64_t utcb)
{
    struct generator *g = generator_of(utcb);
    while (sm_down(g->fixture + FIX_HOLD, 0, tsc() + ticks(1000), 0) == ABI_TIMEOUT) {
        for (unsigned i = 0; i < SLOTS; i++)
            if (g->kind[i] == VCPU)
                ctrl_ec(ABI_EC_RECALL, g->base + i, 0);
        if (g->kill_victim) {
            g->kill_victim = false;
            revoke(OWN_OBJ, g->fixture + FIX_VICTIM, 1, ABI_REVOKE_SELF);
        }
    }
    rest();
}

static bool begin_vcpu(struct generator *g)
{
    uint64_t f = g->fixture;
    if (!(test_info->features & (ABI_FEATURE_SVM | ABI_FEATURE_VTX)))
        return true;
    if (create_space(f + FIX_GST, OWN_PD, ABI_SPACE_GST) ||
        delegate(OWN_HST, f + FIX_GST, GUEST / PAGE, 0, GUEST_PAGES, ABI_PERM_MEM_ALL, 0) ||
        create_vcpu(f + FIX_VCPU, OWN_PD, page_of(g, PAGE_VCPU), g->cpu, f + FIX_GST, ~0ull, ~0ull))
        return false;
    real_mode_loop((struct abi_vcpu *)page_of(g, PAGE_VCPU));
    return make_thread(g, FIX_RUNNER, PAGE_RUNNER, run_vcpu, PRIO_RUNNER) == ABI_OK;
}

bool world_begin(struct generator *g)
{
    uint64_t f = g->fixture;
    return create_thread(f + FIX_THREAD, OWN_PD, page_of(g, PAGE_THREAD), g->cpu, 0, ~0ull, 0x1000) == ABI_OK &&
           create_sm(f + FIX_HOLD, OWN_PD, 0) == ABI_OK && create_sm(f + FIX_GO, OWN_PD, 0) == ABI_OK &&
           create_local(f + FIX_BUSY_EC, OWN_PD, page_of(g, PAGE_BUSY), g->cpu, server_stack(wait_long), ~0ull) == ABI_OK &&
           create_pt(f + FIX_BUSY_PT, OWN_PD, f + FIX_BUSY_EC, (uint64_t)portal_entry, f + FIX_HOLD) == ABI_OK &&
           make_thread(g, FIX_BUSY_THREAD, PAGE_BUSY_THREAD, keep_busy, PRIO_BUSY) == ABI_OK && begin_vcpu(g) &&
           make_thread(g, FIX_REAPER, PAGE_REAPER, reap, PRIO_REAPER) == ABI_OK &&
           make_thread(g, FIX_RECALLER, PAGE_RECALLER, recall_all, ABI_PRIO_MAX) == ABI_OK;
}

static bool renew_fixtures(struct generator *g)
{
    uint64_t f = g->fixture;
    revoke(OWN_OBJ, f, FIX_RENEWED, ABI_REVOKE_SELF);
    if (!remote_create(f + FIX_POOR, 40, g->cpu) || !remote_create(f + FIX_RICH, 40, g->cpu))
        return false;
    remote_impoverish(f + FIX_POOR, f + FIX_FILL);
    if (create_sm(f + FIX_CHAIN, OWN_PD, 0))
        return false;
    for (unsigned i = 0; i + 1 < CHAIN; i++)
        if (delegate(OWN_OBJ, OWN_OBJ, f + FIX_CHAIN + i, f + FIX_CHAIN + i + 1, 1, ABI_PERM_OBJ_ALL, 0))
            return false;
    return create_local(f + FIX_DEAD_EC, OWN_PD, page_for_utcb(g), g->cpu, 0, ~0ull) == ABI_OK &&
           create_pt(f + FIX_DEAD_PT, OWN_PD, f + FIX_DEAD_EC, 0x1000, 0) == ABI_OK &&
           revoke(OWN_OBJ, f + FIX_DEAD_EC, 1, ABI_REVOKE_SELF) == ABI_OK &&
           create_sm(f + FIX_FULL, OWN_PD, ~0ull) == ABI_OK && create_sm(f + FIX_ZERO, OWN_PD, 0) == ABI_OK;
}

/* What it had is given back, or the next round would run dry. */
void world_renew(struct generator *g)
{
    revoke(OWN_OBJ, g->sandbox, 3, ABI_REVOKE_SELF);
    revoke(OWN_OBJ, g->base, SLOTS, ABI_REVOKE_SELF);
    for (unsigned i = 0; i < SLOTS; i++)
        g->kind[i] = EMPTY;
    check(child_create(g->sandbox, 96));
    check(renew_fixtures(g));
    sm_down(g->fixture + FIX_HOLD, 0, tsc() + ticks(1500), 0); // those of lower priority need time, too
    kernel_check();
}

void world_end(struct generator *g)
{
    check_is(revoke(OWN_OBJ, g->fixture, FIX_COUNT, ABI_REVOKE_SELF), ABI_OK);
    check_is(revoke(OWN_OBJ, g->sandbox, 3, ABI_REVOKE_SELF), ABI_OK);
    check_is(revoke(OWN_OBJ, g->base, SLOTS, ABI_REVOKE_SELF), ABI_OK);
}
