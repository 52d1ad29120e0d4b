/* SPDX-License-Identifier: MIT */
/*
 * Both engines, compared with one another: a few random instructions without branches, with registers that point to the ends of pages
 * that are there, read-only or absent, to both ends of the first 4 GiB, of the lower and of the upper half, and into the hole between
 * these. General registers, exception and memory have to be the same. Flags are not compared, since an exception's frame may have others.
 */
#include "tests/cpu/machine.h"
#include "tests/unit/random.h"
#include "tests/unit/tap.h"
#include "vmm/engines/recompiler/effects.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE  4096u
#define CASES 200000u
#define CODES 64u
#define SHOWN 12u

struct result {
    uint64_t gpr[16], rip, error, cr2, memory;
    unsigned vector;
    bool ended;
};

static uint8_t *pages, *fill;
static struct cpu_state *state;
static struct result *wanted;
static uint64_t seed;

static unsigned any(unsigned below)
{
    return (unsigned)random_below(&seed, below);
}

/* What both have to agree on: not the clock, nor what depends on flags that the manual leaves undefined. */
static bool is_good(const uint8_t *bytes, unsigned mode, struct insn *insn)
{
    const struct opcode_row *row;
    unsigned op;

    if (decode(bytes, 32, mode, insn) != DECODE_OK || insn->map >= MAP_INDEXED)
        return false;
    row = &opcode_rows[insn->op];
    op = insn->opcode;
    if (effects_of(insn).read || operand_kinds[row->operand[0]].class == OC_REL)
        return false;
    if (insn->map == MAP_1)
        return !((op >= 0x9a && op <= 0x9f) || (op >= 0xc2 && op <= 0xc5) || (op >= 0xc8 && op <= 0xcf) || (op >= 0xd4 && op <= 0xdf) ||
                 op >= 0xfe || (op >= 0xe0 && op <= 0xf4) || (op >= 0x6c && op <= 0x6f) || op == 0x8e || op == 0xc6 || op == 0xc7 ||
                 op == 0x17 || op == 0x07 || op == 0x1f || op == 0x27 || op == 0x2f || op == 0x37 || op == 0x3f || op == 0x62);
    if (insn->map == MAP_0F)
        return (op >= 0xa3 && op != 0xa4 && op != 0xa5 && op != 0xac && op != 0xad && op != 0xae && op != 0xa6 && op != 0xa7 && op != 0xa8 &&
                op != 0xa9 && op != 0xb2 && op != 0xb4 && op != 0xb5 && op < 0xc8 && !(op == 0xc7 && (insn->modrm >> 3 & 7) != 1)) ||
               (op >= 0x10 && op <= 0x17) || (op >= 0x28 && op <= 0x2f) || (op >= 0x60 && op <= 0x76) || op == 0x7e || op == 0x7f || op >= 0xd0;
    return insn->map == MAP_38 || insn->map >= MAP_V1;
}

static unsigned instruction(uint8_t *to, unsigned mode)
{
    static const uint8_t stack[][5] = {
        {1, 0x50}, {1, 0x58}, {1, 0x5b}, {4, 0x48, 0x83, 0xc4, 0x08}, {4, 0x48, 0x83, 0xec, 0x10}, {4, 0x8b, 0x44, 0x24, 0x08},
        {4, 0x89, 0x44, 0x24, 0xf8}, {1, 0x5c}, {1, 0xc9}, {2, 0xff, 0x33}, {4, 0xff, 0x74, 0x24, 0x04}, {3, 0x88, 0x64, 0x24}, {2, 0xc3, 0},
    };
    unsigned n = any(11), skip = mode == 4 && stack[n][1] == 0x48, at = 0, kind = any(8);
    uint8_t bytes[48];
    struct insn insn;

    if (any(3) == 0) {
        memcpy(to, stack[n] + 1 + skip, stack[n][0] - skip);
        return stack[n][0] - skip;
    }
    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)random_u64(&seed);
    if (any(6) == 0)
        bytes[at++] = any(2) ? 0x66 : any(2) ? 0x67 : any(2) ? 0xf0 : 0xf3;
    if (kind == 0) {
        bytes[at++] = 0xc5;
        bytes[at] = (uint8_t)((bytes[at] & 0x87) | 0x78 | (mode == 4 ? 0xc0 : 0));
        at++;
    } else {
        if (mode == 8 && any(2))
            bytes[at++] = (uint8_t)(0x40 + any(16));
        if (kind > 4)
            bytes[at++] = 0x0f;
    }
    at++;
    if (any(4))
        bytes[at] = (uint8_t)((bytes[at] & 0x3f) | (any(3) ? 0x40 : 0));
    if (!is_good(bytes, mode, &insn))
        return 0;
    memcpy(to, bytes, insn.length);
    return insn.length;
}

static uint64_t edge(void)
{
    static const uint64_t places[] = {
        0, 1ull << 32, (1ull << 32) + MACHINE_USER + 4 * PAGE, (1ull << 32) + MACHINE_USER + 5 * PAGE, 1ull << 47, 0xffff800000000000, 1ull << 63,
        (1ull << 63) + PAGE,
    };
    uint64_t at = any(5) ? MACHINE_USER + any(7) * (uint64_t)PAGE : places[any(8)];

    return any(4) == 0 ? at + any(PAGE) : at + any(48) - 24;
}

static uint64_t sum(const uint8_t *at, unsigned size)
{
    uint64_t hash = 1, value;

    for (unsigned i = 0; i < size; i += 8) {
        memcpy(&value, at + i, 8);
        hash = (hash ^ value) * 0x9e3779b97f4a7c15ull;
        hash ^= hash >> 29;
    }
    return hash;
}

static void clear_code(struct machine *m)
{
    static const uint8_t zero[PAGE];

    machine_put(m, 0, zero, PAGE);
}

static void one(struct machine *m, unsigned n, uint8_t *code, unsigned *length, unsigned *mode, struct result *r)
{
    bool supervisor;
    unsigned wish;
    struct machine_end end = {0};

    seed = n * 0x9e3779b97f4a7c15ull;
    *mode = any(2) ? 8 : 4;
    supervisor = any(3) == 0;
    wish = 1 + any(5);
    *length = 0;
    while (wish)
        for (unsigned size = instruction(code + *length, *mode); size; size = 0, wish--)
            *length += size;
    code[*length] = supervisor ? 0x0f : 0xf4; // UD2, HLT
    code[*length + 1] = 0x0b;
    memcpy(pages + 2 * PAGE, fill, PAGE);
    memcpy(pages + 4 * PAGE, fill + PAGE, PAGE);
    memset(state, 0, sizeof(*state));
    for (unsigned i = 0; i < 16; i++)
        state->gpr[i] = edge();
    state->rsp = state->gpr[CPU_RSP];
    state->rflags = 0x202;
    state->rip = MACHINE_USER + (n % CODES) * 60;
    state->xsave[24] = 0x80; // MXCSR 1f80h
    state->xsave[25] = 0x1f;
    machine_put(m, (n % CODES) * 60, code, *length + 2);
    r->ended = machine_run(m, *mode | (supervisor ? MACHINE_SUPERVISOR : 0), state, &end);
    for (unsigned i = 0; i < 16; i++)
        r->gpr[i] = *mode == 4 ? (uint32_t)state->gpr[i] : state->gpr[i];
    r->rip = state->rip;
    r->vector = end.vector;
    r->error = end.error;
    r->cr2 = end.vector == 14 ? end.cr2 : 0;
    r->memory = sum(pages + 2 * PAGE, PAGE) ^ 3 * sum(pages + 4 * PAGE, PAGE);
}

static void show(unsigned n, const uint8_t *code, unsigned length, unsigned mode, const struct result *a, const struct result *b)
{
    char text[200];

    for (unsigned i = 0; i < length; i++)
        snprintf(text + 3 * i, 4, "%02x ", code[i]);
    tap_note("case %u, %u-bit: %s", n, 8 * mode, text);
    tap_note("  vector %u %u code %lx %lx cr2 %lx %lx rip %lx %lx memory %lx %lx", a->vector, b->vector, (unsigned long)a->error,
             (unsigned long)b->error, (unsigned long)a->cr2, (unsigned long)b->cr2, (unsigned long)a->rip, (unsigned long)b->rip,
             (unsigned long)a->memory, (unsigned long)b->memory);
    for (unsigned i = 0; i < 16; i++)
        if (a->gpr[i] != b->gpr[i])
            tap_note("  register %u: %lx %lx", i, (unsigned long)a->gpr[i], (unsigned long)b->gpr[i]);
}

int main(int argc, char **argv)
{
    unsigned cases = argc > 1 && !strcmp(argv[1], "full") ? 10 * CASES : CASES, wrong = 0, faults = 0, ended = 0, mode, length;
    struct machine *m;
    uint8_t code[128];

    pages = machine_pages();
    fill = malloc(2 * PAGE);
    wanted = calloc(cases, sizeof(*wanted));
    state = aligned_alloc(4096, sizeof(*state) + (-sizeof(*state) & 4095));
    if (!pages || !fill || !wanted || !state)
        return 1;
    seed = 1;
    for (unsigned i = 0; i < 2 * PAGE; i++)
        fill[i] = (uint8_t)random_u64(&seed);
    m = machine_new(MACHINE_INTERPRETER);
    clear_code(m);
    for (unsigned n = 0; n < cases; n++)
        one(m, n, code, &length, &mode, &wanted[n]);
    machine_free(m);
    m = machine_new(MACHINE_RECOMPILER);
    if (!m) {
        ok(true, "recompiler # SKIP it needs a processor and kernel with FSGSBASE and AVX");
        return tap_done();
    }
    clear_code(m);
    for (unsigned n = 0; n < cases; n++) {
        struct result r = {0};

        one(m, n, code, &length, &mode, &r);
        if (!wanted[n].ended)
            continue; // of what no engine executes
        ended++;
        faults += wanted[n].vector == 14;
        if (!memcmp(&r, &wanted[n], sizeof(r)))
            continue;
        if (wrong++ < SHOWN)
            show(n, code, length, mode, &wanted[n], &r);
    }
    ok(wrong == 0, "the engines agree (%u cases, %u page faults, %u differ)", ended, faults, wrong);
    ok(ended > cases / 2 && faults > cases / 20, "most end in a way that can be compared, some in page faults");
    machine_free(m);
    free(state);
    return tap_done();
}
