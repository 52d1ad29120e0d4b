/* SPDX-License-Identifier: MIT */
/*
 * Random instructions on random states in all modes: the interpreter must stay within the guest's
 * memory (the sanitizers watch), end every step with a defined status, and leave RIP and RSP alone
 * when it faults.
 */
#include "tests/cpu/guest.h"
#include "tests/unit/random.h"
#include "tests/unit/tap.h"

#include <stdlib.h>
#include <string.h>

#define STEPS 3000000u

static void put_vector(uint8_t *code, uint64_t *random)
{
    static const uint8_t prefixes[4] = {0x3e, 0x66, 0xf3, 0xf2};
    uint64_t x = random_u64(random);

    if (x & 1) {
        code[0] = (uint8_t)(0xd8 + (x >> 8 & 7));
        return;
    }
    code[0] = prefixes[x >> 8 & 3];
    code[1] = 0x0f;
    if (x >> 10 & 1)
        code[2] = x >> 11 & 1 ? 0x38 : 0x3a;
}

static void scramble(struct guest *g, uint64_t *random)
{
    struct cpu_state *s = g->state;

    for (unsigned i = 0; i < 16; i++) {
        uint64_t x = random_u64(random);

        s->gpr[i] = x & 1 ? x >> 1 & 0x7ffff : x & 2 ? x : 0xfee00000 + (x >> 4 & 0xfff);
    }
    s->rsp = random_below(random, 4) ? GUEST_STACK : random_u64(random);
    s->rflags = (random_u64(random) & 0x3f7ed5) | RFLAGS_1;
    if (s->efer & EFER_LMA)
        s->rflags &= ~RFLAGS_VM;
    for (unsigned i = 0; i < 24; i++)
        g->ram[GUEST_CODE + i] = (uint8_t)random_u64(random);
    if (random_below(random, 3) == 0) // more of map 0F
        g->ram[GUEST_CODE] = 0x0f;
    for (unsigned i = 0; i < 1024; i++) // extended state, control words and header too
        s->xsave[i] = (uint8_t)random_u64(random);
    if (random_below(random, 2)) // an instruction of vectors or x87
        put_vector(g->ram + GUEST_CODE, random);
    for (unsigned i = 0; i < 64; i++) // descriptors
        g->ram[GUEST_GDT + i] = (uint8_t)random_u64(random);
}

int main(void)
{
    static struct guest g;
    uint64_t random = 20261122;
    unsigned long count[8] = {0}, wrong = 0;

    guest_init(&g);
    for (unsigned i = 0; i < STEPS; i++) {
        uint64_t rip, rsp;
        enum interp_status status;

        if (i % 512 == 0) {
            uint64_t x = random_u64(&random);

            guest_reset(&g, (enum guest_mode)(x % 3), x % 3 == GUEST_REAL ? 0 : x & 8 ? 3 : 0);
            if (x % 3 == GUEST_PROTECTED32 && (x & 16))
                guest_paging(&g, x & 32 ? PAGING_32 : PAGING_PAE);
            g.state->cr4 |= CR4_OSFXSR | CR4_OSXSAVE;
            g.state->xcr0 = 7;
            g.state->cr0 |= x & 64 ? CR0_NE : CR0_NE | CR0_TS;
        }
        g.accesses = 0;
        scramble(&g, &random);
        rip = g.state->rip = GUEST_CODE - g.state->cs.base;
        rsp = g.state->rsp;
        status = interp_step(&g.interp);
        count[status]++;
        if (status == INTERP_FAULT && g.interp.fault.vector != EXCEPTION_DB &&
            (g.state->rip != rip || g.state->rsp != rsp))
            wrong++;
        if ((status == INTERP_EXIT || status == INTERP_UNSUPPORTED) &&
            (g.state->rip != rip || g.state->rsp != rsp))
            wrong++;
        g.state->cs.base = rip == 0 ? GUEST_CODE : 0;
        if (g.state->cr0 != (g.state->cr0 & 0xe005003f) || i % 64 == 63)
            i |= 511; // a fresh state
    }
    tap_note("%lu done, %lu again, %lu faults, %lu exits, %lu not executed", count[INTERP_DONE],
             count[INTERP_AGAIN], count[INTERP_FAULT], count[INTERP_EXIT],
             count[INTERP_UNSUPPORTED]);
    ok(wrong == 0, "a step that does not complete leaves RIP and RSP alone");
    ok(count[INTERP_DONE] > 10000 && count[INTERP_FAULT] > 10000,
       "random instructions end in a defined status");
    guest_free(&g);
    return tap_done();
}
