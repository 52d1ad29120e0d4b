/* SPDX-License-Identifier: MIT */
/* Protection domains and quota: what is given comes back, whatever order things die in. */
#include "ktest.h"

static uint64_t used(uint64_t pd)
{
    uint64_t frames = ~0ull, limit;
    check_is(quota_query(pd, &frames, &limit), ABI_OK);
    return frames;
}

static uint64_t limit(uint64_t pd)
{
    uint64_t frames, value = ~0ull;
    check_is(quota_query(pd, &frames, &value), ABI_OK);
    return value;
}

static void quota_moves(void)
{
    uint64_t s = sel_take(8), before = used(OWN_PD);
    check(child_create(s, 64));
    check_is(limit(s), 64);
    check(used(OWN_PD) >= before + 64);
    check_is(quota_move(ABI_PD_QUOTA_GIVE, OWN_PD, s, 16), ABI_OK);
    check_is(limit(s), 80);
    check_is(quota_move(ABI_PD_QUOTA_GIVE, OWN_PD, s, ~0ull), ABI_OUT_OF_MEMORY);
    check_is(quota_move(ABI_PD_QUOTA_TAKE, OWN_PD, s, 80), ABI_OUT_OF_MEMORY); // some is in use
    check_is(quota_move(ABI_PD_QUOTA_TAKE, OWN_PD, s, 40), ABI_OK);
    check_is(limit(s), 40);
    check(child_create(s + 3, 32));
    check_is(quota_move(ABI_PD_QUOTA_GIVE, s, s + 3, 1), ABI_BAD_PARAMETER); // not its child
    check_is(quota_move(ABI_PD_QUOTA_GIVE, OWN_PD, OWN_PD, 1), ABI_BAD_PARAMETER);
    check_is(revoke(OWN_OBJ, s, 8, ABI_REVOKE_SELF), ABI_OK);
    check(used(OWN_PD) <= before + 1);
}

/* A PD can spend what it has and no frame more. */
static void quota_exhausted(void)
{
    uint64_t s = sel_take(3), t = sel_take(4096), made = 0, outside = used(OWN_PD);
    check(child_create(s, 24));
    uint64_t after = used(OWN_PD);
    while (made < 4096 && create_sm(t + made, s, 0) == ABI_OK)
        made++;
    check(made > 100 && made < 4096);
    check_is(create_sm(t + made, s, 0), ABI_OUT_OF_MEMORY);
    check_is(create_local(t + made, s, utcb_address(0), 0, 0, ~0ull), ABI_OUT_OF_MEMORY);
    check_is(create_pd(t + made, s, ABI_PD_QUOTA_MIN), ABI_OUT_OF_MEMORY);
    check(used(s) <= 24);
    check(used(OWN_PD) <= after + 128); // the nodes of the capabilities are ours
    check_is(revoke(OWN_OBJ, t, 16, ABI_REVOKE_SELF), ABI_OK);
    check_is(create_sm(t, s, 0), ABI_OK); // and what it gives back it can spend again
    check_is(revoke(OWN_OBJ, s, 1, ABI_REVOKE_SELF), ABI_OK);
    check_is(sm_up(t + 20), ABI_BAD_CAPABILITY); // what the dead PD paid for died with it
    check_is(revoke(OWN_OBJ, s, 3, ABI_REVOKE_SELF), ABI_OK);
    check_is(revoke(OWN_OBJ, t, 4096, ABI_REVOKE_SELF), ABI_OK);
    check(used(OWN_PD) <= outside + 24);
}

/* A chain of PDs, each paid by the one before: the head's death takes all. */
static void nested(void)
{
    uint64_t s = sel_take(64), before = used(OWN_PD);
    check_is(create_pd(s, OWN_PD, 400), ABI_OK);
    for (unsigned i = 1; i < 16; i++)
        check_is(create_pd(s + i, s + i - 1, 400 - i * 20), ABI_OK);
    check_is(create_sm(s + 32, s + 15, 3), ABI_OK);
    check_is(revoke(OWN_OBJ, s, 1, ABI_REVOKE_SELF), ABI_OK);
    for (unsigned i = 1; i < 16; i++)
        check_is(quota_query(s + i, 0, 0), ABI_BAD_CAPABILITY);
    check_is(sm_up(s + 32), ABI_BAD_CAPABILITY);
    check_is(revoke(OWN_OBJ, s, 64, ABI_REVOKE_SELF), ABI_OK);
    check(used(OWN_PD) <= before + 1);
}

static void again_and_again(void)
{
    uint64_t s = sel_take(8), before = used(OWN_PD);
    for (unsigned i = 0; i < 5000; i++) {
        bool made = child_create(s, 32) && create_sm(s + 3, s, 0) == ABI_OK &&
                    create_local(s + 4, s, utcb_address(0), 0, 0, ~0ull) == ABI_OK &&
                    create_pt(s + 5, s, s + 4, (uint64_t)portal_entry, 0) == ABI_OK;
        if (!made || revoke(OWN_OBJ, s, 8, ABI_REVOKE_SELF) != ABI_OK) {
            check_is(i, 5000);
            return;
        }
    }
    check(used(OWN_PD) <= before + 1);
}

void suite_pd(void)
{
    quota_moves();
    quota_exhausted();
    nested();
    again_and_again();
}
