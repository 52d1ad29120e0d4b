/* SPDX-License-Identifier: MIT */
/*
 * Locked instructions of two vCPUs, interpreted on two threads, on the same words of RAM: nothing
 * is lost.
 */
#include "tests/cpu/guest.h"
#include "tests/unit/tap.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 100000u
#define WORD   0x3000u
#define SPLIT \
    500u // a locked access across a cache line stops all processors, and Linux slows its user down:
         // one in so many rounds

/*
 * One round increments a word by each of these; then one by cmpxchg at [rbx+32] and one by
 * cmpxchg16b at [rbx+48], until they succeed. The last of these lies across a cache line.
 */
static const struct step {
    uint8_t length;
    uint8_t code[8];
} steps[] = {
    {4, {0xf0, 0x48, 0xff, 0x03}},             // lock inc qword [rbx]
    {6, {0xf0, 0x48, 0x0f, 0xc1, 0x4b, 0x08}}, // lock xadd [rbx+8], rcx
    {5, {0xf0, 0x80, 0x43, 0x18, 0x01}},       // lock add byte [rbx+24], 1
    {6, {0xf0, 0x48, 0x83, 0x43, 0x7d, 0x01}}, // lock add qword [rbx+125], 1
};

static void put(struct guest *g, unsigned cpu, const uint8_t *code, unsigned length)
{
    uint64_t at = GUEST_CODE + cpu * 0x1000;

    memcpy(g->ram + at, code, length);
    g->state->rip = at;
}

static bool step(struct guest *g)
{
    return interp_step(&g->interp) == INTERP_DONE;
}

/* rax = old, rcx = old + 1 until it succeeds. */
static bool compare_exchange(struct guest *g, unsigned cpu, bool wide)
{
    static const uint8_t narrow_code[6] = {0xf0, 0x48, 0x0f,
                                           0xb1, 0x4b, 0x20}; // lock cmpxchg [rbx+32], rcx
    static const uint8_t wide_code[6] = {0xf0, 0x48, 0x0f,
                                         0xc7, 0x4b, 0x30}; // lock cmpxchg16b [rbx+48]
    uint64_t *gpr = g->state->gpr, base = WORD;

    for (;;) {
        if (wide) { // RCX:RBX is the new value, so the address has to be one too: RBX + 48 with RBX
                    // = 3000h
            gpr[CPU_RBX] = base;
            gpr[CPU_RCX] = gpr[CPU_RDX] + 1;
            put(g, cpu, wide_code, 6);
        } else {
            gpr[CPU_RCX] = gpr[CPU_RAX] + 1;
            put(g, cpu, narrow_code, 6);
        }
        if (!step(g))
            return false;
        if (g->state->rflags & RFLAGS_ZF)
            return true;
    }
}

struct worker {
    struct guest g;
    unsigned cpu;
    bool failed;
};

static void *work(void *arg)
{
    struct worker *w = arg;
    struct guest *g = &w->g;

    for (unsigned i = 0; i < ROUNDS && !w->failed; i++) {
        g->state->gpr[CPU_RBX] = WORD;
        for (unsigned s = 0; s < sizeof steps / sizeof steps[0]; s++) {
            if (s == 3 && i % SPLIT)
                continue;
            g->state->gpr[CPU_RCX] = 3;
            put(g, w->cpu, steps[s].code, steps[s].length);
            w->failed |= !step(g);
        }
        w->failed |= !compare_exchange(g, w->cpu, false);
        w->failed |= !compare_exchange(g, w->cpu, true);
    }
    return NULL;
}

int main(void)
{
    static struct worker a, b;
    pthread_t thread;

    guest_init(&a.g);
    guest_reset(&a.g, GUEST_LONG, 0);
    guest_write(&a.g, WORD + 48, 8, WORD); // what cmpxchg16b's RBX stores again and again
    guest_join(&b.g, &a.g);
    b.cpu = 1;
    pthread_create(&thread, NULL, work, &b);
    work(&a);
    pthread_join(thread, NULL);
    ok(!a.failed && !b.failed, "all instructions were executed");
    is_u64(guest_read(&a.g, WORD, 8), 2 * ROUNDS, "lock inc");
    is_u64(guest_read(&a.g, WORD + 8, 8), 6 * ROUNDS, "lock xadd");
    is_u64(guest_read(&a.g, WORD + 24, 1), (2 * ROUNDS) & 0xff, "lock add byte");
    is_u64(guest_read(&a.g, WORD + 32, 8), 2 * ROUNDS, "lock cmpxchg");
    is_u64(guest_read(&a.g, WORD + 56, 4), 2 * ROUNDS, "lock cmpxchg16b, high half");
    is_u64(guest_read(&a.g, WORD + 125, 8), 2 * ROUNDS / SPLIT, "lock add across a cache line");
    free(b.g.state);
    guest_free(&a.g);
    return tap_done();
}
