/* SPDX-License-Identifier: MIT */
/* Semaphores: counting, deadlines, order of waiters, destruction under waiters. */
#include "ktest.h"

static void counting(void)
{
    uint64_t s = sel_take(1), taken;
    check_is(create_sm(s, OWN_PD, 3), ABI_OK);
    check_is(sm_down(s, 0, 1, &taken), ABI_OK);
    check_is(taken, 1);
    check_is(sm_up(s), ABI_OK);
    check_is(sm_up(s), ABI_OK);
    check_is(sm_down(s, ABI_SM_ALL, 1, &taken), ABI_OK);
    check_is(taken, 4);
    check_is(sm_down(s, 0, 1, &taken), ABI_TIMEOUT); // a deadline in the past polls
    check_is(sm_down(s, ABI_SM_ALL, 1, &taken), ABI_TIMEOUT);
    check_is(revoke(OWN_OBJ, s, 1, ABI_REVOKE_SELF), ABI_OK);
}

static void deadline(void)
{
    uint64_t s = sel_take(1);
    check_is(create_sm(s, OWN_PD, 0), ABI_OK);
    for (unsigned i = 0; i < 20; i++) {
        uint64_t until = tsc() + ticks(500 + i * 250);
        check_is(sm_down(s, 0, until, 0), ABI_TIMEOUT);
        check(tsc() >= until);
    }
    check_is(revoke(OWN_OBJ, s, 1, ABI_REVOKE_SELF), ABI_OK);
}

static uint64_t wait_sm, order_sm;
static volatile uint64_t order[8], arrived, statuses[8];

static void waiter(uint64_t utcb)
{
    unsigned me = (unsigned)((utcb - TEST_UTCBS) / PAGE);
    arrived++;
    statuses[me] = sm_down(wait_sm, 0, 0, 0);
    order[me] = ++order[7];
    sm_up(order_sm);
    for (;;)
        sm_down(ABI_SEL_FREE, 0, 0, 0);
}

static void start_waiters(uint64_t s, const uint8_t *priority, unsigned count)
{
    arrived = 0;
    order[7] = 0;
    for (unsigned i = 0; i < count; i++) {
        check_is(create_thread(s + 2 * i, OWN_PD, utcb_address(i), 0, thread_stack(waiter), ~0ull, (uint64_t)thread_entry),
                 ABI_OK);
        check_is(create_sc(s + 2 * i + 1, OWN_PD, s + 2 * i, priority[i], 10000), ABI_OK);
        while (arrived <= i)
            sm_down(ABI_SEL_FREE, 0, tsc() + ticks(2000), 0);
    }
}

/* Woken by priority, then in the order of their coming. */
static void waiters(void)
{
    static const uint8_t priority[] = {10, 30, 30, 20};
    uint64_t s = sel_take(8);
    wait_sm = sel_take(2);
    order_sm = wait_sm + 1;
    check_is(create_sm(wait_sm, OWN_PD, 0), ABI_OK);
    check_is(create_sm(order_sm, OWN_PD, 0), ABI_OK);
    start_waiters(s, priority, 4);
    for (unsigned i = 0; i < 4; i++) {
        check_is(sm_up(wait_sm), ABI_OK);
        check_is(sm_down(order_sm, 0, tsc() + ticks(1000000), 0), ABI_OK);
    }
    check_is(order[1], 1);
    check_is(order[2], 2);
    check_is(order[3], 3);
    check_is(order[0], 4);
    check_is(revoke(OWN_OBJ, s, 8, ABI_REVOKE_SELF), ABI_OK);
    stacks_reset();
    /* The semaphore dies under two waiters: both are told. */
    start_waiters(s, priority, 2);
    check_is(revoke(OWN_OBJ, wait_sm, 1, ABI_REVOKE_SELF), ABI_OK);
    for (unsigned i = 0; i < 2; i++)
        check_is(sm_down(order_sm, 0, tsc() + ticks(1000000), 0), ABI_OK);
    check_is(statuses[0], ABI_ABORTED);
    check_is(statuses[1], ABI_ABORTED);
    check_is(revoke(OWN_OBJ, s, 8, ABI_REVOKE_SELF), ABI_OK);
    check_is(revoke(OWN_OBJ, wait_sm, 2, ABI_REVOKE_SELF), ABI_OK);
}

/* A waiter that dies leaves the queue; its token goes to nobody. */
static void dead_waiter(void)
{
    static const uint8_t priority[] = {10};
    uint64_t s = sel_take(2), taken;
    wait_sm = sel_take(2);
    order_sm = wait_sm + 1;
    check_is(create_sm(wait_sm, OWN_PD, 0), ABI_OK);
    check_is(create_sm(order_sm, OWN_PD, 0), ABI_OK);
    start_waiters(s, priority, 1);
    check_is(revoke(OWN_OBJ, s, 2, ABI_REVOKE_SELF), ABI_OK);
    check_is(sm_up(wait_sm), ABI_OK);
    check_is(sm_down(wait_sm, 0, 1, &taken), ABI_OK);
    check_is(sm_down(order_sm, 0, 1, &taken), ABI_TIMEOUT);
    check_is(revoke(OWN_OBJ, wait_sm, 2, ABI_REVOKE_SELF), ABI_OK);
}

void suite_semaphore(void)
{
    counting();
    deadline();
    waiters();
    dead_waiter();
}
