/* SPDX-License-Identifier: MIT */
/* Several CPUs: semaphores between them, objects that die while another CPU uses them, page tables. */
#include "ktest.h"

static uint64_t ping_sm, pong_sm, other_portal;
static volatile uint64_t rounds, portal_status, stop, faulted;

static void ponger(uint64_t argument)
{
    (void)argument;
    uint64_t mtd = 0;
    portal_status = ipc_call(other_portal, 0, &mtd);
    while (sm_down(ping_sm, 0, 0, 0) == ABI_OK) {
        rounds++;
        if (sm_up(pong_sm) != ABI_OK)
            break;
    }
    for (;;)
        sm_down(ABI_SEL_FREE, 0, 0, 0);
}

static uint64_t nothing(uint64_t id, uint64_t mtd)
{
    (void)id;
    return mtd & ABI_MSG_WORDS;
}

static void ping_pong(uint64_t cpu)
{
    uint64_t s = sel_take(8);
    ping_sm = s;
    pong_sm = s + 1;
    other_portal = s + 3;
    rounds = 0;
    portal_status = ~0ull;
    check_is(create_sm(s, OWN_PD, 0), ABI_OK);
    check_is(create_sm(s + 1, OWN_PD, 0), ABI_OK);
    check_is(create_local(s + 2, OWN_PD, utcb_address(0), 0, server_stack(nothing), ~0ull), ABI_OK);
    check_is(create_pt(s + 3, OWN_PD, s + 2, (uint64_t)portal_entry, 0), ABI_OK);
    check_is(create_thread(s + 4, OWN_PD, utcb_address(1), cpu, thread_stack(ponger), ~0ull, (uint64_t)thread_entry), ABI_OK);
    check_is(create_sc(s + 5, OWN_PD, s + 4, 1, 10000), ABI_OK);
    for (unsigned i = 0; i < 500; i++) {
        check_is(sm_up(ping_sm), ABI_OK);
        check_is(sm_down(pong_sm, 0, tsc() + ticks(2000000), 0), ABI_OK);
    }
    check_is(rounds, 500);
    check_is(portal_status, ABI_BAD_CPU); // calls stay on their CPU
    check_is(ctrl_ec(ABI_EC_FS_BASE, s + 4, 0), ABI_BAD_CPU);
    check_is(revoke(OWN_OBJ, s, 8, ABI_REVOKE_SELF), ABI_OK);
    stacks_reset();
}

static void spinner(uint64_t argument)
{
    (void)argument;
    volatile uint64_t *page = (volatile uint64_t *)TEST_MEMORY;
    while (!stop) {
        uint64_t value = *page;
        (void)value;
        rounds++;
    }
    for (;;)
        sm_down(ABI_SEL_FREE, 0, 0, 0);
}

static uint64_t note_fault(uint64_t id, uint64_t mtd)
{
    (void)id;
    (void)mtd;
    faulted++;
    return 1ull << 63;
}

/* A page is taken from under a thread that reads it on another CPU: its next access faults there. */
static void shootdown(uint64_t cpu)
{
    uint64_t s = sel_take(4), events = sel_take(ABI_EVENT_COUNT), frame = frames_take(1);
    rounds = stop = faulted = 0;
    check_is(delegate(ABI_SEL_PHYS, OWN_HST, frame, TEST_MEMORY / PAGE, 1, ABI_PERM_MEM_R, 0), ABI_OK);
    check_is(create_local(s, OWN_PD, utcb_address(0), cpu, server_stack(note_fault), ~0ull), ABI_OK);
    check_is(create_pt(events + 14, OWN_PD, s, (uint64_t)portal_entry, 14), ABI_OK);
    check_is(create_thread(s + 1, OWN_PD, utcb_address(1), cpu, thread_stack(spinner), events, (uint64_t)thread_entry), ABI_OK);
    check_is(create_sc(s + 2, OWN_PD, s + 1, 1, 10000), ABI_OK);
    while (rounds < 1000)
        __asm__ volatile("pause");
    check_is(revoke(OWN_HST, TEST_MEMORY / PAGE, 1, ABI_REVOKE_SELF), ABI_OK);
    uint64_t after = rounds;
    for (unsigned i = 0; i < 1000 && !faulted; i++)
        sm_down(ABI_SEL_FREE, 0, tsc() + ticks(1000), 0);
    check_is(faulted, 1);
    check(rounds <= after + 2);
    /* A thread that spins on another CPU is killed. */
    check_is(revoke(OWN_OBJ, s, 4, ABI_REVOKE_SELF), ABI_OK);
    check_is(revoke(OWN_OBJ, events, ABI_EVENT_COUNT, ABI_REVOKE_SELF), ABI_OK);
    stacks_reset();
}

static void killed(uint64_t cpu)
{
    uint64_t s = sel_take(2), frame = frames_take(1);
    check_is(delegate(ABI_SEL_PHYS, OWN_HST, frame, TEST_MEMORY / PAGE, 1, ABI_PERM_MEM_R, 0), ABI_OK);
    for (unsigned i = 0; i < 100; i++) {
        rounds = stop = 0;
        check_is(create_thread(s, OWN_PD, utcb_address(1), cpu, thread_stack(spinner), ~0ull, (uint64_t)thread_entry), ABI_OK);
        check_is(create_sc(s + 1, OWN_PD, s, 1, 10000), ABI_OK);
        while (rounds < 10)
            __asm__ volatile("pause");
        check_is(revoke(OWN_OBJ, s, 2, ABI_REVOKE_SELF), ABI_OK);
        uint64_t after = rounds;
        for (unsigned k = 0; k < 1000; k++)
            __asm__ volatile("pause");
        check_is(rounds, after);
        stacks_reset();
    }
    check_is(revoke(OWN_HST, TEST_MEMORY / PAGE, 1, ABI_REVOKE_SELF), ABI_OK);
}

void suite_smp(void)
{
    if (test_info->cpu_count < 2) {
        check_skip("several CPUs", "one CPU");
        return;
    }
    for (uint64_t cpu = 1; cpu < test_info->cpu_count; cpu++) {
        ping_pong(cpu);
        shootdown(cpu);
        killed(cpu);
    }
}
