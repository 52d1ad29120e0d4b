/* SPDX-License-Identifier: MIT */
/*
 * Random hypercalls by a generator that knows the state: on each CPU one thread with a slot area of its own and neighbours' areas as
 * targets. Half of the calls aim at the (call, status) pair that has come up least so far; the others are random throughout. Any status that
 * a call does not document fails the test. Options: calls=N a CPU, seed=N, least=N of each reachable pair.
 */
#include "rig.h"

#define SLOTS      64  // of each generator
#define STATUSES   ABI_STATUS_COUNT
#define BIT(n)     (1u << (n))
#define SERVER_CODE 0x400000ull // in each sandbox: a server that answers with what it got
#define SERVER_PAGE (GUEST / PAGE + GUEST_PAGES)

/* What abi/hypercall.h allows each call to return. */
static const uint16_t documented[ABI_HYPERCALL_COUNT] = {
    [ABI_IPC_CALL] = BIT(ABI_OK) | BIT(ABI_TIMEOUT) | BIT(ABI_ABORTED) | BIT(ABI_OVERFLOW) | BIT(ABI_BAD_CAPABILITY) |
                     BIT(ABI_BAD_PARAMETER) | BIT(ABI_BAD_CPU) | BIT(ABI_OUT_OF_MEMORY),
    [ABI_IPC_REPLY] = BIT(ABI_BAD_PARAMETER),
    [ABI_CREATE_PD] = BIT(ABI_OK) | BIT(ABI_BAD_CAPABILITY) | BIT(ABI_BAD_PARAMETER) | BIT(ABI_OCCUPIED) | BIT(ABI_OUT_OF_MEMORY),
    [ABI_CREATE_SPACE] = BIT(ABI_OK) | BIT(ABI_BAD_CAPABILITY) | BIT(ABI_BAD_PARAMETER) | BIT(ABI_OCCUPIED) |
                         BIT(ABI_OUT_OF_MEMORY) | BIT(ABI_BAD_FEATURE),
    [ABI_CREATE_EC] = BIT(ABI_OK) | BIT(ABI_BAD_CAPABILITY) | BIT(ABI_BAD_PARAMETER) | BIT(ABI_BAD_CPU) | BIT(ABI_OCCUPIED) |
                      BIT(ABI_OUT_OF_MEMORY),
    [ABI_CREATE_SC] = BIT(ABI_OK) | BIT(ABI_BAD_CAPABILITY) | BIT(ABI_BAD_PARAMETER) | BIT(ABI_OCCUPIED) | BIT(ABI_OUT_OF_MEMORY),
    [ABI_CREATE_PT] = BIT(ABI_OK) | BIT(ABI_BAD_CAPABILITY) | BIT(ABI_BAD_PARAMETER) | BIT(ABI_OCCUPIED) | BIT(ABI_OUT_OF_MEMORY),
    [ABI_CREATE_SM] = BIT(ABI_OK) | BIT(ABI_BAD_CAPABILITY) | BIT(ABI_BAD_PARAMETER) | BIT(ABI_OCCUPIED) | BIT(ABI_OUT_OF_MEMORY),
    [ABI_DELEGATE] = BIT(ABI_OK) | BIT(ABI_BAD_CAPABILITY) | BIT(ABI_BAD_PARAMETER) | BIT(ABI_OCCUPIED) |
                     BIT(ABI_OUT_OF_MEMORY) | BIT(ABI_OVERFLOW),
    [ABI_REVOKE] = BIT(ABI_OK) | BIT(ABI_BAD_CAPABILITY) | BIT(ABI_BAD_PARAMETER),
    [ABI_CTRL_PD] = BIT(ABI_OK) | BIT(ABI_BAD_CAPABILITY) | BIT(ABI_BAD_PARAMETER) | BIT(ABI_OUT_OF_MEMORY),
    [ABI_CTRL_EC] = BIT(ABI_OK) | BIT(ABI_BAD_CAPABILITY) | BIT(ABI_BAD_PARAMETER) | BIT(ABI_BAD_CPU),
    [ABI_CTRL_SC] = BIT(ABI_OK) | BIT(ABI_BAD_CAPABILITY),
    [ABI_CTRL_PT] = BIT(ABI_OK) | BIT(ABI_BAD_CAPABILITY) | BIT(ABI_BAD_PARAMETER),
    [ABI_CTRL_SM] = BIT(ABI_OK) | BIT(ABI_BAD_CAPABILITY) | BIT(ABI_OVERFLOW) | BIT(ABI_TIMEOUT) | BIT(ABI_ABORTED),
    [ABI_VCPU_RUN] = BIT(ABI_OK) | BIT(ABI_BAD_CAPABILITY) | BIT(ABI_BAD_CPU) | BIT(ABI_BAD_PARAMETER) | BIT(ABI_ABORTED),
    [ABI_ASSIGN_INT] = BIT(ABI_OK) | BIT(ABI_BAD_CAPABILITY) | BIT(ABI_BAD_CPU) | BIT(ABI_BAD_PARAMETER) | BIT(ABI_BAD_DEVICE),
    [ABI_ASSIGN_DEV] = BIT(ABI_BAD_CAPABILITY) | BIT(ABI_BAD_FEATURE),
};

/* Pairs that this generator cannot bring about at will: they are shown, not required; other suites provoke them. */
static const uint16_t not_required[ABI_HYPERCALL_COUNT] = {
    [ABI_IPC_CALL] = BIT(ABI_OVERFLOW) | BIT(ABI_OUT_OF_MEMORY) | BIT(ABI_BAD_CPU) | BIT(ABI_TIMEOUT) | BIT(ABI_ABORTED),
    [ABI_IPC_REPLY] = 0xffff,
    [ABI_CREATE_SPACE] = BIT(ABI_OUT_OF_MEMORY),
    [ABI_CREATE_EC] = BIT(ABI_OUT_OF_MEMORY),
    [ABI_CREATE_SC] = BIT(ABI_OUT_OF_MEMORY),
    [ABI_CREATE_PT] = BIT(ABI_OUT_OF_MEMORY),
    [ABI_CREATE_SM] = BIT(ABI_OUT_OF_MEMORY),
    [ABI_DELEGATE] = BIT(ABI_OUT_OF_MEMORY) | BIT(ABI_OVERFLOW),
    [ABI_CTRL_SM] = BIT(ABI_ABORTED),
    [ABI_CTRL_EC] = BIT(ABI_BAD_CPU),
    [ABI_VCPU_RUN] = BIT(ABI_BAD_CPU) | BIT(ABI_BAD_PARAMETER) | BIT(ABI_ABORTED),
    [ABI_ASSIGN_INT] = BIT(ABI_BAD_DEVICE),
    [ABI_ASSIGN_DEV] = BIT(ABI_BAD_FEATURE),
};

/* Kinds of what a slot was last known to hold; stale knowledge is part of the test. */
enum kind { EMPTY, PD, OBJ, HST, GST, PIO, MSR, LOCAL, THREAD, VCPU, SC, PT, SM, KINDS };

struct generator {
    uint64_t seed, state;
    uint64_t base;       // first slot
    uint64_t cpu;
    uint64_t sandbox;    // a PD of its own with OBJ and HST space at +1, +2: pays for everything, and is made anew when it is dry
    uint8_t kind[SLOTS];
    uint32_t count[ABI_HYPERCALL_COUNT][STATUSES];
    uint64_t undocumented, calls;
    volatile uint64_t finished;
};

static struct generator generators[ABI_CPU_MAX];

/* xorshift64*, one stream a generator: a seed replays the whole run of one CPU. */
static uint64_t any(struct generator *g)
{
    g->state ^= g->state >> 12;
    g->state ^= g->state << 25;
    g->state ^= g->state >> 27;
    return g->state * 0x2545f4914f6cdd1dull;
}

static uint64_t below(struct generator *g, uint64_t n)
{
    return any(g) % n;
}

static uint64_t any_slot(struct generator *g)
{
    return g->base + below(g, SLOTS);
}

/* A slot believed to hold `kind`; the sandbox's own objects where there is none. */
static uint64_t slot_of(struct generator *g, enum kind kind)
{
    uint64_t from = below(g, SLOTS);
    for (unsigned i = 0; i < SLOTS; i++) {
        uint64_t n = (from + i) % SLOTS;
        if (g->kind[n] == kind)
            return g->base + n;
    }
    return kind == PD ? g->sandbox : kind == OBJ ? g->sandbox + 1 : kind == HST ? g->sandbox + 2 : any_slot(g);
}

/* Any number, but often one near an edge. */
static uint64_t any_value(struct generator *g)
{
    static const uint64_t edges[] = {0,      1,      ABI_SEL_MAX,   ABI_SEL_MAX + 1, ABI_USER_END,    ABI_USER_END / PAGE,
                                     511,    512,    513,           4095,            4096,            1ull << 47,
                                     ~0ull,  1ull << 63, 0xffffffff, 0xffffffff80000000ull, 0xc0000080, 0xcf8};
    switch (below(g, 4)) {
    case 0:
        return edges[below(g, sizeof edges / sizeof edges[0])];
    case 1:
        return below(g, 64);
    case 2:
        return any_slot(g);
    default:
        return any(g) >> below(g, 64);
    }
}

/* Selectors a random call may name: never one whose loss would end the test. */
static uint64_t any_target(struct generator *g)
{
    if (below(g, 8))
        return below(g, 3) ? slot_of(g, (enum kind)below(g, KINDS)) : g->sandbox + below(g, 3);
    uint64_t sel = any_value(g);
    return sel < ABI_SEL_FREE ? g->base : sel;
}

static uint64_t utcb_of(struct generator *g)
{
    return 0x40000000ull + g->cpu * 0x1000000 + below(g, 256) * PAGE;
}

/* Arguments that are right for `number` as far as the generator knows. */
static uint64_t sensible(struct generator *g, unsigned number, struct call *c)
{
    uint64_t free = slot_of(g, EMPTY), pd = below(g, 4) ? g->sandbox : slot_of(g, PD);
    *c = (struct call){.rsi = pd};
    switch (number) {
    case ABI_IPC_CALL:
        c->rsi = below(g, 9) * 8;
        return call_id(number, below(g, 2), slot_of(g, PT));
    case ABI_CREATE_PD:
        c->rdx = 8 + below(g, 8);
        return call_id(number, 0, free);
    case ABI_CREATE_SPACE:
        return call_id(number, below(g, ABI_SPACE_COUNT), free);
    case ABI_CREATE_EC: {
        uint64_t kind = below(g, 3);
        c->rdx = utcb_of(g) | (below(g, 8) ? g->cpu : below(g, 70));
        c->rax = kind == ABI_EC_VCPU ? slot_of(g, GST) : 0x1000;
        c->r8 = kind == ABI_EC_VCPU ? (below(g, 2) ? ~0ull : slot_of(g, PIO)) : ~0ull;
        c->r9 = kind == ABI_EC_VCPU ? (below(g, 2) ? ~0ull : slot_of(g, MSR)) : 0x1000;
        return call_id(number, kind, free);
    }
    case ABI_CREATE_SC:
        c->rdx = slot_of(g, THREAD);
        c->rax = 1 + below(g, 40) + (1000ull << 8);
        return call_id(number, 0, free);
    case ABI_CREATE_PT:
        c->rdx = slot_of(g, LOCAL);
        c->rax = SERVER_CODE;
        return call_id(number, 0, free);
    case ABI_CREATE_SM:
        c->rdx = below(g, 4) ? below(g, 3) : ~0ull - below(g, 2);
        return call_id(number, 0, free);
    case ABI_DELEGATE: {
        bool memory = below(g, 2);
        uint64_t page = (GUEST / PAGE) + below(g, GUEST_PAGES);
        c->rsi = memory ? (below(g, 2) ? g->sandbox + 2 : slot_of(g, GST)) : (below(g, 2) ? OWN_OBJ : slot_of(g, OBJ));
        c->rdx = memory ? page : any_slot(g);
        c->rax = memory ? below(g, 2000) : below(g, 4) ? free : any_slot(g);
        c->r8 = 1 + (below(g, 4) ? 0 : below(g, 8));
        c->r9 = below(g, 32);
        return call_id(number, 0, memory ? OWN_HST : OWN_OBJ);
    }
    case ABI_REVOKE:
        c->rsi = any_slot(g);
        c->rdx = 1 + (below(g, 16) ? 0 : below(g, g->base + SLOTS - c->rsi));
        return call_id(number, below(g, 2), OWN_OBJ);
    case ABI_CTRL_PD:
        c->rsi = slot_of(g, PD);
        c->rdx = below(g, 4);
        return call_id(number, below(g, 3), g->sandbox);
    case ABI_CTRL_EC:
        c->rsi = below(g, 2) ? below(g, ABI_VCPU_ALL) : any_value(g);
        return call_id(number, below(g, 3), slot_of(g, (enum kind)(LOCAL + below(g, 3))));
    case ABI_CTRL_SC:
        return call_id(number, 0, slot_of(g, SC));
    case ABI_CTRL_PT:
        c->rdx = below(g, 8);
        return call_id(number, 0, slot_of(g, PT));
    case ABI_CTRL_SM:
        c->rsi = 1; // waiting is for other suites: a deadline in the past polls
        return call_id(number, below(g, 8), slot_of(g, SM));
    case ABI_VCPU_RUN:
        return call_id(number, 0, slot_of(g, VCPU));
    case ABI_ASSIGN_INT:
        c->rsi = below(g, test_info->cpu_count);
        c->rdx = below(g, 4);
        return call_id(number, 0, ABI_SEL_INT_BASE + 5 + below(g, 6)); // pins that nothing uses
    default:
        return call_id(number, below(g, 2), any_target(g));
    }
}

/* Spoils arguments towards a status. */
static uint64_t spoil(struct generator *g, unsigned number, enum abi_status status, uint64_t rdi, struct call *c)
{
    uint64_t low = rdi & 0xffff;
    switch (status) {
    case ABI_OCCUPIED:
        if (number == ABI_DELEGATE) {
            c->rsi = rdi >> 16;
            c->rax = c->rdx;
        } else if (number >= ABI_CREATE_PD && number <= ABI_CREATE_SM) {
            return low | g->sandbox << 16;
        }
        return rdi;
    case ABI_BAD_CAPABILITY:
        return below(g, 2) ? low | slot_of(g, EMPTY) << 16 : low | (ABI_SEL_MAX - below(g, 2)) << 16;
    case ABI_BAD_PARAMETER:
        switch (below(g, 4)) {
        case 0: c->rsi = any_value(g) | 1ull << 60; break;
        case 1: c->rdx = any_value(g) | 1ull << 60; break;
        case 2: c->rax = any_value(g) | 1ull << 60; break;
        default: c->r8 = any_value(g) | 1ull << 60; break;
        }
        if (number == ABI_CREATE_PD)
            c->rdx = below(g, ABI_PD_QUOTA_MIN);
        if (number == ABI_CREATE_SPACE)
            return call_id(number, below(g, 2), rdi >> 16);
        if (number == ABI_CREATE_SM || number == ABI_CREATE_SPACE)
            return low | (ABI_SEL_MAX + 1 + below(g, 9)) << 16;
        return rdi;
    case ABI_BAD_CPU:
        if (number == ABI_CREATE_EC)
            c->rdx |= 0xfff;
        if (number == ABI_ASSIGN_INT)
            c->rsi = 64 + below(g, 1000);
        return rdi;
    case ABI_OUT_OF_MEMORY:
        if (number == ABI_CREATE_PD || number == ABI_CTRL_PD)
            c->rdx = 1u << 30;
        return rdi;
    case ABI_BAD_FEATURE:
        return call_id(number, ABI_SPACE_DMA, rdi >> 16);
    default:
        return rdi;
    }
}

static void learn(struct generator *g, uint64_t rdi, const struct call *given, uint64_t status)
{
    static const uint8_t spaces[] = {OBJ, HST, GST, EMPTY, PIO, MSR}, ecs[] = {LOCAL, THREAD, VCPU};
    unsigned number = rdi & 0xff, flags = rdi >> 8 & 0xff;
    uint64_t n = (rdi >> 16) - g->base;
    if (status != ABI_OK)
        return;
    if (number == ABI_REVOKE && flags && rdi >> 16 == OWN_OBJ) {
        for (uint64_t i = 0; i < given->rdx; i++)
            if (given->rsi + i - g->base < SLOTS)
                g->kind[given->rsi + i - g->base] = EMPTY;
    }
    if (number == ABI_DELEGATE && given->rsi == OWN_OBJ && given->rax - g->base < SLOTS)
        g->kind[given->rax - g->base] = given->rdx - g->base < SLOTS ? g->kind[given->rdx - g->base] : (uint8_t)SM;
    if (n >= SLOTS)
        return;
    switch (number) {
    case ABI_CREATE_PD: g->kind[n] = PD; break;
    case ABI_CREATE_SPACE: g->kind[n] = spaces[flags]; break;
    case ABI_CREATE_EC: g->kind[n] = ecs[flags]; break;
    case ABI_CREATE_SC: g->kind[n] = SC; break;
    case ABI_CREATE_PT: g->kind[n] = PT; break;
    case ABI_CREATE_SM: g->kind[n] = SM; break;
    default: break;
    }
}

/* The whole world of one generator goes and comes again: what it had is given back, or the next round runs dry. */
static void renew(struct generator *g)
{
    revoke(OWN_OBJ, g->sandbox, 3, ABI_REVOKE_SELF);
    revoke(OWN_OBJ, g->base, SLOTS, ABI_REVOKE_SELF);
    for (unsigned i = 0; i < SLOTS; i++)
        g->kind[i] = EMPTY;
    check(child_create(g->sandbox, 96));
    check_is(delegate(OWN_HST, g->sandbox + 2, SERVER_PAGE, SERVER_CODE / PAGE, 1, ABI_PERM_MEM_R | ABI_PERM_MEM_X, 0), ABI_OK);
}

/* The pair that has come up least. */
static void aim(struct generator *g, unsigned *number, enum abi_status *status)
{
    uint32_t least = ~0u;
    unsigned start = (unsigned)below(g, ABI_HYPERCALL_COUNT);
    for (unsigned k = 0; k < ABI_HYPERCALL_COUNT; k++) {
        unsigned i = (start + k) % ABI_HYPERCALL_COUNT;
        for (unsigned s = 0; s < STATUSES; s++) {
            if (!(documented[i] & ~not_required[i] & BIT(s)) || g->count[i][s] >= least)
                continue;
            least = g->count[i][s];
            *number = i;
            *status = (enum abi_status)s;
        }
    }
}

static bool dangerous(uint64_t rdi, const struct call *c)
{
    unsigned number = rdi & 0xff;
    if (number == ABI_IPC_REPLY)
        return true;
    if (number == ABI_REVOKE && rdi >> 16 < ABI_SEL_FREE && (c->rsi < ABI_SEL_FREE + 512 || c->rdx > SLOTS))
        return c->rsi + c->rdx >= c->rsi && c->rsi <= ABI_SEL_MAX; // out of range ones are harmless
    return number == ABI_CTRL_SM && c->rsi != 1;
}

static void one_call(struct generator *g)
{
    unsigned number = (unsigned)below(g, ABI_HYPERCALL_COUNT);
    enum abi_status status = ABI_OK;
    struct call c;
    uint64_t rdi;
    switch (below(g, 4)) {
    case 0:
    case 1:
        aim(g, &number, &status);
        rdi = spoil(g, number, status, sensible(g, number, &c), &c);
        break;
    case 2:
        rdi = sensible(g, number, &c);
        break;
    default:
        c = (struct call){any_value(g), any_value(g), any_value(g), any_value(g), any_value(g), any_value(g)};
        if (number == ABI_CTRL_SM)
            c.rsi = 1;
        rdi = call_id(number, any(g) >> (56 + below(g, 8)), any_target(g));
    }
    if (dangerous(rdi, &c))
        return;
    struct call given = c;
    uint64_t result = call_raw(rdi, &c);
    g->calls++;
    number = rdi & 0xff;
    bool known = result < STATUSES && ((documented[number] | BIT(ABI_BAD_HYPERCALL)) & BIT(result));
    if (!known) {
        if (!g->undocumented++) {
            note("undocumented: call", number);
            note("  status", result);
            note("  RDI", rdi);
            note("  RSI", given.rsi);
            note("  RDX", given.rdx);
            note("  RAX", given.rax);
            note("  R8", given.r8);
            note("  R9", given.r9);
        }
        return;
    }
    g->count[number][result]++;
    learn(g, rdi, &given, result);
}

static void generate(struct generator *g, uint64_t calls)
{
    for (uint64_t i = 0; g->calls < calls && i < calls * 4; i++) {
        if (i % 2000 == 0)
            renew(g);
        one_call(g);
    }
    revoke(OWN_OBJ, g->sandbox, 3, ABI_REVOKE_SELF);
    revoke(OWN_OBJ, g->base, SLOTS, ABI_REVOKE_SELF);
}

static void generator_thread(uint64_t utcb)
{
    struct generator *g = &generators[(utcb - utcb_address(8)) / PAGE];
    generate(g, option("calls", 20000));
    g->finished = 1;
    for (;;)
        sm_down(ABI_SEL_FREE, 0, 0, 0);
}

/* Guests with nothing sensible to run may run for ever: this one, above all others, ends their turns. */
static void recaller(uint64_t utcb)
{
    uint64_t cpu = (utcb - utcb_address(8 + ABI_CPU_MAX)) / PAGE;
    struct generator *g = &generators[cpu];
    for (;;) {
        sm_down(ABI_SEL_FREE, 0, tsc() + ticks(1000), 0);
        for (unsigned i = 0; i < SLOTS; i++)
            if (g->kind[i] == VCPU)
                ctrl_ec(ABI_EC_RECALL, g->base + i, 0);
    }
}

static void report(uint64_t cpus, uint64_t least)
{
    uint64_t calls = 0, undocumented = 0;
    for (uint64_t cpu = 0; cpu < cpus; cpu++) {
        calls += generators[cpu].calls;
        undocumented += generators[cpu].undocumented;
    }
    note("random hypercalls", calls);
    check_is(undocumented, 0);
    for (unsigned i = 0; i < ABI_HYPERCALL_COUNT; i++)
        for (unsigned s = 0; s < STATUSES; s++) {
            uint64_t n = 0;
            if (!(documented[i] & ~not_required[i] & BIT(s)))
                continue;
            for (uint64_t cpu = 0; cpu < cpus; cpu++)
                n += generators[cpu].count[i][s];
            if (n < least) {
                note("too few: call", i);
                note("  status", s);
            }
            check(n >= least);
        }
}

void suite_random(void)
{
    uint64_t cpus = test_info->cpu_count, seed = option("seed", tsc() | 1), s = sel_take((unsigned)(4 * cpus));
    uint64_t frame = frames_take(GUEST_PAGES + 1);
    static const uint8_t server[] = {0xbf, 0x01, 0x00, 0x00, 0x00, 0x0f, 0x05}; // mov $ABI_IPC_REPLY, %edi; syscall
    note("seed", seed);
    check_is(delegate(ABI_SEL_PHYS, OWN_HST, frame, GUEST / PAGE, GUEST_PAGES + 1, ABI_PERM_MEM_ALL, 0), ABI_OK);
    for (unsigned i = 0; i < sizeof server; i++)
        ((uint8_t *)(SERVER_PAGE * PAGE))[i] = server[i];
    for (uint64_t cpu = 0; cpu < cpus; cpu++) {
        struct generator *g = &generators[cpu];
        *g = (struct generator){.seed = seed + cpu, .state = (seed + cpu) * 0x9e3779b97f4a7c15ull | 1, .cpu = cpu};
        g->sandbox = sel_take(4);
        g->base = sel_take(SLOTS);
        uint64_t run = utcb_address(8 + (unsigned)cpu), end = utcb_address(8 + ABI_CPU_MAX + (unsigned)cpu);
        check_is(create_thread(s + 4 * cpu, OWN_PD, run, cpu, thread_stack(generator_thread), ~0ull, (uint64_t)thread_entry),
                 ABI_OK);
        check_is(create_thread(s + 4 * cpu + 2, OWN_PD, end, cpu, thread_stack(recaller), ~0ull, (uint64_t)thread_entry), ABI_OK);
        check_is(create_sc(s + 4 * cpu + 3, OWN_PD, s + 4 * cpu + 2, ABI_PRIO_MAX, 1000), ABI_OK);
        check_is(create_sc(s + 4 * cpu + 1, OWN_PD, s + 4 * cpu, 50, 1000), ABI_OK);
    }
    for (uint64_t cpu = 0; cpu < cpus; cpu++)
        while (!generators[cpu].finished)
            sm_down(ABI_SEL_FREE, 0, tsc() + ticks(10000), 0);
    report(cpus, option("least", 20));
    check_is(revoke(OWN_OBJ, s, 4 * cpus, ABI_REVOKE_SELF), ABI_OK);
    check_is(revoke(OWN_HST, GUEST / PAGE, GUEST_PAGES + 1, ABI_REVOKE_SELF), ABI_OK);
}
