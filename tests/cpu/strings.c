/* SPDX-License-Identifier: MIT */
/*
 * MOVS and STOS, both engines, against their definition element by element: upwards and downwards,
 * areas that overlap in any way, elements in two pages, pages that are not there or not writable.
 */
#include "tests/cpu/machine.h"
#include "tests/unit/random.h"
#include "tests/unit/tap.h"

#include <stdlib.h>
#include <string.h>

#define PAGE 4096u
#define RUNS 4000u
#define FAR  3000u // no area is larger
#define DF   0x400u

/* Pages of machine.h that are read: 1, 2 and 4. Written: 2 and 4. */
#define READABLE 0x16u
#define WRITABLE 0x14u
#define GP 13u
#define PF 14u

struct form {
    unsigned size;
    bool moves, repeat, down;
    unsigned mode; // 4, 8
};

static uint64_t seed = 1;
static uint8_t *pages, *before, *wanted;
static struct cpu_state *state;

static bool allowed(uint64_t address, unsigned size, unsigned set)
{
    uint64_t first = (address - MACHINE_USER) / PAGE, last = (address - MACHINE_USER + size - 1) / PAGE;

    return first < 6 && last < 6 && set >> first & 1 && set >> last & 1;
}

/* What the manual says (SDM volume 2, MOVS, STOS, REP), on `wanted`. The vector of the end. */
static unsigned model(const struct form *f, uint64_t gpr[16])
{
    uint64_t step = f->down ? -(uint64_t)f->size : f->size;

    while (!f->repeat || gpr[CPU_RCX] != 0) {
        uint8_t *to = wanted + (gpr[CPU_RDI] - MACHINE_USER);

        if (f->moves && !allowed(gpr[CPU_RSI], f->size, READABLE))
            return PF;
        if (!allowed(gpr[CPU_RDI], f->size, WRITABLE))
            return PF;
        if (f->moves) {
            memmove(to, wanted + (gpr[CPU_RSI] - MACHINE_USER), f->size);
            gpr[CPU_RSI] += step;
        } else {
            memcpy(to, &gpr[CPU_RAX], f->size);
        }
        gpr[CPU_RDI] += step;
        if (!f->repeat)
            return GP;
        gpr[CPU_RCX]--;
    }
    return GP;
}

static void put_code(struct machine *m, const struct form *f)
{
    uint8_t code[5];
    unsigned n = 0;

    if (f->repeat)
        code[n++] = 0xf3;
    if (f->size == 2)
        code[n++] = 0x66;
    if (f->size == 8)
        code[n++] = 0x48;
    code[n++] = (f->moves ? 0xa4 : 0xaa) | (f->size > 1);
    code[n++] = 0xf4; // hlt: #GP
    machine_put(m, 0, code, n);
}

/* Mostly in or near the pages that can be written to, and often near one another. */
static void choose(struct form *f, uint64_t gpr[16])
{
    *f = (struct form){.size = 1u << random_u64(&seed) % 4, .moves = random_u64(&seed) % 4 != 0,
                       .repeat = random_u64(&seed) % 8 != 0, .down = random_u64(&seed) & 1, .mode = 8};
    if (f->size < 8 && random_u64(&seed) & 1)
        f->mode = 4;
    memset(gpr, 0, 16 * sizeof(gpr[0]));
    gpr[CPU_RAX] = random_u64(&seed);
    if (f->mode == 4)
        gpr[CPU_RAX] = (uint32_t)gpr[CPU_RAX];
    gpr[CPU_RCX] = random_u64(&seed) % (random_u64(&seed) & 1 ? 20 : FAR) / f->size;
    gpr[CPU_RDI] = MACHINE_USER + (random_u64(&seed) & 1 ? 2 : 4) * PAGE + random_u64(&seed) % PAGE;
    if (random_u64(&seed) & 1)
        gpr[CPU_RSI] = gpr[CPU_RDI] + random_u64(&seed) % 40 - 20;
    else
        gpr[CPU_RSI] = MACHINE_USER + PAGE + FAR + random_u64(&seed) % PAGE; // not down to the code
}

static bool once(struct machine *m)
{
    uint64_t gpr[16];
    struct machine_end end;
    struct form f;
    unsigned vector;

    choose(&f, gpr);
    put_code(m, &f);
    memcpy(pages + 2 * PAGE, before + 2 * PAGE, PAGE);
    memcpy(pages + 4 * PAGE, before + 4 * PAGE, PAGE);
    memcpy(wanted, before, 6 * PAGE);
    memset(state, 0, sizeof(*state));
    memcpy(state->gpr, gpr, sizeof(gpr));
    state->rip = MACHINE_USER;
    state->rflags = 0x202 | (f.down ? DF : 0);
    vector = model(&f, gpr);
    if (machine_run(m, f.mode, state, &end) && end.vector == vector &&
        memcmp(state->gpr, gpr, sizeof(gpr)) == 0 &&
        memcmp(pages + 2 * PAGE, wanted + 2 * PAGE, PAGE) == 0 &&
        memcmp(pages + 4 * PAGE, wanted + 4 * PAGE, PAGE) == 0)
        return true;
    tap_note("%s%s of %u bytes %s, mode %u: vector %u, not %u; RCX %lx, not %lx; RDI %lx, not %lx",
         f.repeat ? "REP " : "", f.moves ? "MOVS" : "STOS", f.size, f.down ? "down" : "up", f.mode,
         end.vector, vector, state->gpr[CPU_RCX], gpr[CPU_RCX], state->gpr[CPU_RDI], gpr[CPU_RDI]);
    return false;
}

int main(void)
{
    static const enum machine_kind kinds[] = {MACHINE_RECOMPILER, MACHINE_INTERPRETER};

    pages = machine_pages();
    state = aligned_alloc(4096, sizeof(*state) + (-sizeof(*state) & 4095));
    before = malloc(6 * PAGE);
    wanted = malloc(6 * PAGE);
    if (!pages || !state || !before || !wanted)
        return 1;
    for (unsigned i = 0; i < 6 * PAGE; i++)
        before[i] = (uint8_t)random_u64(&seed);
    memcpy(before + PAGE, pages + PAGE, PAGE);
    for (unsigned i = 0; i < 2; i++) {
        struct machine *m = machine_new(kinds[i]);
        unsigned n = 0;

        if (!m) {
            ok(true, "recompiler # SKIP it needs a processor and kernel with FSGSBASE and AVX");
            continue;
        }
        while (n < RUNS && once(m))
            n++;
        ok(n == RUNS, "%s: %u of %u are as defined", machine_name(m), n, RUNS);
        machine_free(m);
    }
    free(before);
    free(wanted);
    free(state);
    return tap_done();
}
