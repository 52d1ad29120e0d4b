/* SPDX-License-Identifier: MIT */
/* Revocation: recursive, complete, also while another CPU derives. */
#include "ktest.h"

static volatile uint64_t *word_at(uint64_t page)
{
    return (volatile uint64_t *)(page * PAGE);
}

static void tree_of_objects(void)
{
    uint64_t t = sel_take(64), s = sel_take(9);
    check_is(create_sm(t, OWN_PD, 0), ABI_OK);
    for (unsigned i = 0; i < 3; i++)
        check(child_create(s + 3 * i, 64));
    /* t -> child 0 -> child 1 -> child 2 -> t + 1, and t -> t + 2 */
    check_is(delegate(OWN_OBJ, s + 1, t, 10, 1, ABI_PERM_OBJ_ALL, 0), ABI_OK);
    check_is(delegate(s + 1, s + 4, 10, 20, 1, ABI_PERM_OBJ_ALL, 0), ABI_OK);
    check_is(delegate(s + 4, s + 7, 20, 30, 1, ABI_PERM_OBJ_ALL, 0), ABI_OK);
    check_is(delegate(s + 7, OWN_OBJ, 30, t + 1, 1, ABI_PERM_OBJ_ALL, 0), ABI_OK);
    check_is(delegate(OWN_OBJ, OWN_OBJ, t, t + 2, 1, ABI_PERM_OBJ_ALL, 0), ABI_OK);
    check_is(sm_up(t + 1), ABI_OK);
    check_is(revoke(s + 4, 20, 1, 0), ABI_OK); // below child 1 only
    check_is(sm_up(t + 1), ABI_BAD_CAPABILITY);
    check_is(sm_up(t + 2), ABI_OK);
    check_is(delegate(s + 4, OWN_OBJ, 20, t + 1, 1, ABI_PERM_OBJ_ALL, 0), ABI_OK); // child 1 kept its own
    check_is(revoke(OWN_OBJ, t, 1, 0), ABI_OK);
    check_is(sm_up(t + 1), ABI_BAD_CAPABILITY);
    check_is(sm_up(t + 2), ABI_BAD_CAPABILITY);
    check_is(sm_up(t), ABI_OK);
    uint64_t done = 1;
    check_is(delegate(s + 1, OWN_OBJ, 10, t + 3, 1, ABI_PERM_OBJ_ALL, &done), ABI_OK);
    check_is(done, 0);
    /* A PD in the middle of a chain dies: what passed through it is gone. */
    check_is(delegate(OWN_OBJ, s + 1, t, 10, 1, ABI_PERM_OBJ_ALL, 0), ABI_OK);
    check_is(delegate(s + 1, s + 4, 10, 20, 1, ABI_PERM_OBJ_ALL, 0), ABI_OK);
    check_is(delegate(s + 4, OWN_OBJ, 20, t + 4, 1, ABI_PERM_OBJ_ALL, 0), ABI_OK);
    check_is(revoke(OWN_OBJ, s, 1, ABI_REVOKE_SELF), ABI_OK);
    check_is(sm_up(t + 4), ABI_BAD_CAPABILITY);
    check_is(revoke(OWN_OBJ, t, 1, ABI_REVOKE_SELF), ABI_OK);
    check_is(sm_up(t), ABI_BAD_CAPABILITY);
    check_is(revoke(OWN_OBJ, t, 64, ABI_REVOKE_SELF), ABI_OK);
    check_is(revoke(OWN_OBJ, s, 9, ABI_REVOKE_SELF), ABI_OK);
}

/* Wide: one capability with as many derivations as fit; twice, with the quota watched by the runner. */
static void wide(void)
{
    uint64_t t = sel_take(20000);
    for (unsigned round = 0; round < 2; round++) {
        check_is(create_sm(t, OWN_PD, 0), ABI_OK);
        uint64_t status = ABI_OK;
        unsigned i = 1;
        for (; i < 20000 && status == ABI_OK; i++)
            status = delegate(OWN_OBJ, OWN_OBJ, t + (i - 1) / 8, t + i, 1, ABI_PERM_OBJ_ALL, 0);
        check(status == ABI_OK || status == ABI_OUT_OF_MEMORY);
        check(i > 1000);
        check_is(revoke(OWN_OBJ, t, 1, 0), ABI_OK);
        check_is(sm_up(t + 1), ABI_BAD_CAPABILITY);
        check_is(sm_up(t + i - 2), ABI_BAD_CAPABILITY);
        check_is(sm_up(t), ABI_OK);
        check_is(revoke(OWN_OBJ, t, 1, ABI_REVOKE_SELF), ABI_OK);
    }
}

/* A page that was taken back is gone from every space, at once. */
static void memory(void)
{
    uint64_t s = sel_take(3), frame = frames_take(8), at = TEST_MEMORY / PAGE;
    check(child_create(s, 64));
    check_is(delegate(ABI_SEL_PHYS, OWN_HST, frame, at, 8, ABI_PERM_MEM_R | ABI_PERM_MEM_W, 0), ABI_OK);
    *word_at(at + 2) = 99;
    check_is(delegate(OWN_HST, s + 2, at, 0x500, 8, ABI_PERM_MEM_R | ABI_PERM_MEM_W, 0), ABI_OK);
    check_is(delegate(s + 2, OWN_HST, 0x502, at + 16, 2, ABI_PERM_MEM_R | ABI_PERM_MEM_W, 0), ABI_OK);
    check_is(*word_at(at + 16), 99);
    check_is(revoke(OWN_HST, at + 3, 1, 0), ABI_OK); // lies in what was derived: it goes as a whole
    uint64_t done = 1;
    check_is(delegate(s + 2, OWN_HST, 0x502, at + 24, 2, ABI_PERM_MEM_R, &done), ABI_OK);
    check_is(done, 0);
    check_is(delegate(OWN_HST, OWN_HST, at + 2, at + 16, 1, ABI_PERM_MEM_R, &done), ABI_OK); // the address is free again
    check_is(*word_at(at + 16), 99);
    check_is(revoke(OWN_HST, at, 8, ABI_REVOKE_SELF), ABI_OK);
    check_is(revoke(OWN_OBJ, s, 3, ABI_REVOKE_SELF), ABI_OK);
}

static volatile uint64_t racing, derived;
static uint64_t race_base;

static void racer(uint64_t argument)
{
    (void)argument;
    uint64_t n = 0;
    while (racing) {
        uint64_t from = race_base + n % 64, to = race_base + (n * 7 + 1) % 1024, done = 0;
        if (delegate(OWN_OBJ, OWN_OBJ, from, to, 1, ABI_PERM_OBJ_ALL, &done) == ABI_OK)
            derived += done;
        n++;
    }
    racing = 2;
    for (;;)
        sm_down(ABI_SEL_FREE, 0, 0, 0);
}

/* Another CPU derives from the tree while it is taken back: afterwards nothing of it is left. */
static void race(void)
{
    uint64_t s = sel_take(2);
    if (test_info->cpu_count < 2) {
        check_skip("revocation against derivation", "one CPU");
        return;
    }
    race_base = sel_take(1024);
    check_is(create_sm(race_base, OWN_PD, 0), ABI_OK);
    racing = 1;
    derived = 0;
    check_is(create_thread(s, OWN_PD, utcb_address(8), 1, thread_stack(racer), ~0ull, (uint64_t)thread_entry), ABI_OK);
    check_is(create_sc(s + 1, OWN_PD, s, 1, 10000), ABI_OK);
    while (!derived)
        __asm__ volatile("pause");
    for (unsigned i = 0; i < 200; i++) {
        check_is(revoke(OWN_OBJ, race_base, 1, 0), ABI_OK);
        for (unsigned spin = 0; spin < 2000; spin++)
            __asm__ volatile("pause");
    }
    check_is(revoke(OWN_OBJ, race_base, 1, ABI_REVOKE_SELF), ABI_OK);
    for (unsigned i = 0; i < 1024; i++)
        check_is(sm_up(race_base + i), ABI_BAD_CAPABILITY);
    racing = 0;
    note("derived during the race", derived);
    check(derived > 100);
    check_is(revoke(OWN_OBJ, s, 2, ABI_REVOKE_SELF), ABI_OK);
    check_is(revoke(OWN_OBJ, race_base, 1024, ABI_REVOKE_SELF), ABI_OK);
}

void suite_revoke(void)
{
    tree_of_objects();
    wide();
    memory();
    race();
}
