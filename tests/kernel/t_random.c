/* SPDX-License-Identifier: MIT */
/*
 * Random hypercalls on every CPU at once. Half of the calls aim at the (call, status) pair that has come up least so far; the
 * others are sensible, or random throughout. Any status that a call does not document fails the test, and so does a documented
 * one that came up too seldom. Options: calls=N in all, seed=N, least=N of each pair.
 */
#include "random.h"

struct generator generators[ABI_CPU_MAX];

#define ALWAYS (BIT(ABI_OK) | BIT(ABI_BAD_HYPERCALL))
#define CREATE (ALWAYS | BIT(ABI_BAD_CAPABILITY) | BIT(ABI_OCCUPIED) | BIT(ABI_OUT_OF_MEMORY) | BIT(ABI_BAD_PARAMETER))

/* What abi/hypercall.h allows each call to return. A selector beyond ABI_SEL_MAX is a parameter of a creation. */
static const uint16_t documented[ABI_HYPERCALL_COUNT] = {
    [ABI_IPC_CALL] = ALWAYS | BIT(ABI_TIMEOUT) | BIT(ABI_ABORTED) | BIT(ABI_OVERFLOW) | BIT(ABI_BAD_CAPABILITY) |
                     BIT(ABI_BAD_PARAMETER) | BIT(ABI_BAD_CPU) | BIT(ABI_OUT_OF_MEMORY),
    [ABI_IPC_REPLY] = ALWAYS | BIT(ABI_BAD_PARAMETER),
    [ABI_CREATE_PD] = CREATE,
    [ABI_CREATE_SPACE] = CREATE | BIT(ABI_BAD_FEATURE),
    [ABI_CREATE_EC] = CREATE | BIT(ABI_BAD_CPU) | BIT(ABI_BAD_FEATURE),
    [ABI_CREATE_SC] = CREATE,
    [ABI_CREATE_PT] = CREATE,
    [ABI_CREATE_SM] = CREATE,
    [ABI_DELEGATE] = CREATE | BIT(ABI_OVERFLOW),
    [ABI_REVOKE] = ALWAYS | BIT(ABI_BAD_CAPABILITY) | BIT(ABI_BAD_PARAMETER),
    [ABI_CTRL_PD] = ALWAYS | BIT(ABI_BAD_CAPABILITY) | BIT(ABI_BAD_PARAMETER) | BIT(ABI_OUT_OF_MEMORY),
    [ABI_CTRL_EC] = ALWAYS | BIT(ABI_BAD_CAPABILITY) | BIT(ABI_BAD_PARAMETER) | BIT(ABI_BAD_CPU),
    [ABI_CTRL_SC] = ALWAYS | BIT(ABI_BAD_CAPABILITY),
    [ABI_CTRL_PT] = ALWAYS | BIT(ABI_BAD_CAPABILITY) | BIT(ABI_BAD_PARAMETER),
    [ABI_CTRL_SM] = ALWAYS | BIT(ABI_BAD_CAPABILITY) | BIT(ABI_OVERFLOW) | BIT(ABI_TIMEOUT) | BIT(ABI_ABORTED),
    [ABI_VCPU_RUN] = ALWAYS | BIT(ABI_BAD_CAPABILITY) | BIT(ABI_BAD_CPU) | BIT(ABI_BAD_PARAMETER) | BIT(ABI_ABORTED),
    [ABI_ASSIGN_INT] = ALWAYS | BIT(ABI_BAD_CAPABILITY) | BIT(ABI_BAD_CPU) | BIT(ABI_BAD_PARAMETER) | BIT(ABI_BAD_DEVICE),
    [ABI_ASSIGN_DEV] = BIT(ABI_BAD_HYPERCALL) | BIT(ABI_BAD_CAPABILITY) | BIT(ABI_BAD_FEATURE),
};

/* Documented, but not to be had on this machine. */
static bool reachable(unsigned number, enum abi_status status)
{
    bool virtualization = test_info->features & (ABI_FEATURE_SVM | ABI_FEATURE_VTX);
    if (!(documented[number] & BIT(status)))
        return false;
    if (number == ABI_ASSIGN_DEV && status == ABI_BAD_FEATURE)
        return test_info->features & ABI_FEATURE_IOMMU; // takes a DMA space
    if (number == ABI_ASSIGN_INT && status == ABI_BAD_DEVICE)
        return false; // every source has its pin, and there are more vectors on a CPU than sources
    if (number == ABI_CREATE_EC && status == ABI_BAD_FEATURE)
        return !virtualization;
    if (status == ABI_BAD_CPU && (number == ABI_IPC_CALL || number == ABI_CTRL_EC))
        return test_info->cpu_count > 1;
    if (number == ABI_VCPU_RUN && status != ABI_BAD_CAPABILITY && status != ABI_BAD_HYPERCALL)
        return virtualization && (status != ABI_BAD_CPU || test_info->cpu_count > 1);
    return true;
}

/* xorshift64*, one stream a generator. */
uint64_t any(struct generator *g)
{
    g->state ^= g->state >> 12;
    g->state ^= g->state << 25;
    g->state ^= g->state >> 27;
    return g->state * 0x2545f4914f6cdd1dull;
}

uint64_t any_slot(struct generator *g)
{
    return (below(g, 16) ? g : g->other)->base + below(g, SLOTS);
}

static uint64_t find(struct generator *g, enum kind kind)
{
    uint64_t from = below(g, SLOTS);
    for (unsigned i = 0; i < SLOTS; i++)
        if (g->kind[(from + i) % SLOTS] == kind)
            return g->base + (from + i) % SLOTS;
    return 0;
}

uint64_t slot_of(struct generator *g, enum kind kind)
{
    uint64_t sel = find(g, kind);
    if (sel)
        return sel;
    return kind == PD ? g->sandbox : kind == OBJ ? g->sandbox + 1 : kind == HST ? g->sandbox + 2 : any_slot(g);
}

uint64_t empty_slot(struct generator *g)
{
    uint64_t sel = find(g, EMPTY);
    if (sel)
        return sel;
    struct call c = {.rsi = g->base + below(g, SLOTS), .rdx = 1};
    sel = c.rsi;
    perform(g, call_id(ABI_REVOKE, ABI_REVOKE_SELF, OWN_OBJ), &c);
    return sel;
}

uint64_t need(struct generator *g, enum kind kind)
{
    uint64_t sel = find(g, kind), f = g->fixture;
    if (sel)
        return sel;
    sel = empty_slot(g);
    struct call c = {.rsi = OWN_PD, .rdx = page_for_utcb(g) | g->cpu, .rax = 0x1000, .r8 = ~0ull, .r9 = 0x1000};
    uint64_t rdi = call_id(ABI_CREATE_EC, ABI_EC_THREAD, sel);
    if (kind == SM)
        rdi = call_id(ABI_CREATE_SM, 0, sel);
    if (kind == PD) {
        c.rsi = g->sandbox;
        c.rdx = ABI_PD_QUOTA_MIN;
        rdi = call_id(ABI_CREATE_PD, 0, sel);
    }
    if (kind == VCPU) {
        c.rax = f + FIX_GST;
        c.r9 = ~0ull;
        rdi = call_id(ABI_CREATE_EC, ABI_EC_VCPU, sel);
    }
    perform(g, rdi, &c);
    return sel;
}

/* Any number, but often one near an edge. */
uint64_t any_value(struct generator *g)
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

static void learn(struct generator *g, uint64_t rdi, const struct call *given)
{
    static const uint8_t spaces[] = {OBJ, HST, GST, EMPTY, PIO, MSR}, ecs[] = {LOCAL, THREAD, VCPU};
    unsigned number = rdi & 0xff, flags = rdi >> 8 & 0xff;
    uint64_t n = (rdi >> 16) - g->base;
    if (number == ABI_REVOKE && flags && rdi >> 16 == OWN_OBJ) {
        for (uint64_t i = 0; i < given->rdx && i <= SLOTS; i++)
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

void record(struct generator *g, unsigned number, uint64_t status)
{
    g->calls++;
    g->digest = (g->digest ^ (number << 8 | status)) * 0x100000001b3ull;
    if (status < STATUSES && (documented[number] & BIT(status)))
        g->count[number][status]++;
    else if (!g->undocumented++)
        note("undocumented: call * 100 + status", number * 100 + status);
}

uint64_t perform(struct generator *g, uint64_t rdi, struct call *c)
{
    struct call given = *c;
    uint64_t status = call_raw(rdi, c), undocumented = g->undocumented;
    if ((rdi & 0xff) < ABI_HYPERCALL_COUNT)
        record(g, rdi & 0xff, status);
    if (g->undocumented != undocumented && !undocumented) {
        note("  RDI", rdi);
        note("  RSI", given.rsi);
        note("  RDX", given.rdx);
        note("  RAX", given.rax);
        note("  R8", given.r8);
        note("  R9", given.r9);
    }
    if (status == ABI_OK)
        learn(g, rdi, &given);
    return status;
}

/* The pair that has come up least; any, once each has come up often enough: some take their time. */
static void aim(struct generator *g, uint64_t enough, unsigned *number, enum abi_status *status)
{
    uint64_t least = enough;
    unsigned start = (unsigned)below(g, ABI_HYPERCALL_COUNT), drawn = (unsigned)below(g, STATUSES);
    if (reachable(start, drawn) && drawn != ABI_ABORTED) {
        *number = start;
        *status = (enum abi_status)drawn;
    }
    for (unsigned k = 0; k < ABI_HYPERCALL_COUNT; k++) {
        unsigned i = (start + k) % ABI_HYPERCALL_COUNT;
        for (unsigned s = 0; s < STATUSES; s++) {
            if (g->count[i][s] >= least || !reachable(i, s))
                continue;
            least = g->count[i][s];
            *number = i;
            *status = (enum abi_status)s;
        }
    }
}

/* What would harm the test instead of testing: replies (a thread's is refused anyway), revoking what it lives from, waiting for ever. */
static bool dangerous(uint64_t rdi, const struct call *c)
{
    unsigned number = rdi & 0xff;
    if (number == ABI_REVOKE && rdi >> 16 < ABI_SEL_FREE && (c->rsi < ABI_SEL_FREE + 512 || c->rdx > SLOTS))
        return c->rsi + c->rdx >= c->rsi && c->rsi <= ABI_SEL_MAX; // out of range ones are harmless
    return number == ABI_CTRL_SM && c->rsi != 1;
}

static void one_call(struct generator *g, uint64_t enough)
{
    unsigned number = (unsigned)below(g, ABI_HYPERCALL_COUNT);
    enum abi_status status = ABI_BAD_CAPABILITY;
    struct call c;
    uint64_t rdi;
    switch (below(g, 4)) {
    case 0:
    case 1:
        aim(g, enough, &number, &status);
        rdi = aimed(g, number, status, &c);
        break;
    case 2:
        rdi = sensible(g, number, &c);
        break;
    default:
        c = (struct call){any_value(g), any_value(g), any_value(g), any_value(g), any_value(g), any_value(g)};
        if (number == ABI_CTRL_SM)
            c.rsi = 1;
        rdi = call_id(number, any(g) >> (56 + below(g, 8)), any_target(g));
        if (dangerous(rdi, &c))
            return;
    }
    perform(g, rdi, &c);
}

static void generator_thread(uint64_t utcb)
{
    struct generator *g = generator_of(utcb);
    uint64_t cpus = test_info->cpu_count, calls = option("calls", 20000) / cpus, enough = option("least", 20) / cpus + 1;
    g->utcb = (struct abi_utcb *)utcb;
    for (uint64_t i = 0; g->calls < calls && i < calls * 4; i++) {
        if (i % 2000 == 0)
            world_renew(g);
        one_call(g, enough);
    }
    g->finished = true;
    for (;;)
        sm_down(ABI_SEL_FREE, 0, 0, 0);
}

static void report(uint64_t cpus, uint64_t least)
{
    uint64_t calls = 0, undocumented = 0, digest = 0, rarest = ~0ull, pairs = 0;
    for (uint64_t cpu = 0; cpu < cpus; cpu++) {
        calls += generators[cpu].calls;
        undocumented += generators[cpu].undocumented;
        digest ^= generators[cpu].digest;
    }
    check_is(undocumented, 0);
    for (unsigned i = 0; i < ABI_HYPERCALL_COUNT; i++)
        for (unsigned s = 0; s < STATUSES; s++) {
            uint64_t n = 0;
            if (!reachable(i, s))
                continue;
            for (uint64_t cpu = 0; cpu < cpus; cpu++)
                n += generators[cpu].count[i][s];
            if (n < least)
                note("too seldom: call * 100 + status", i * 100 + s);
            check(n >= least);
            rarest = n < rarest ? n : rarest;
            pairs++;
        }
    note("random hypercalls", calls);
    note("pairs of call and status", pairs);
    note("times that the rarest came up", rarest);
    note("digest", digest);
}

void suite_random(void)
{
    uint64_t cpus = test_info->cpu_count, seed = option("seed", tsc() | 1);
    uint64_t frame = frames_take(GUEST_PAGES);
    note("seed", seed);
    check_is(delegate(ABI_SEL_PHYS, OWN_HST, frame, GUEST / PAGE, GUEST_PAGES, ABI_PERM_MEM_ALL, 0), ABI_OK);
    for (uint64_t cpu = 0; cpu < cpus; cpu++) {
        struct generator *g = &generators[cpu];
        *g = (struct generator){.state = (seed + cpu) * 0x9e3779b97f4a7c15ull | 1, .cpu = cpu, .sandbox = sel_take(4)};
        g->other = &generators[(cpu + 1) % cpus];
        g->fixture = sel_take(FIX_COUNT);
        g->base = sel_take(SLOTS);
    }
    for (uint64_t cpu = 0; cpu < cpus; cpu++)
        check(world_begin(&generators[cpu]));
    for (uint64_t cpu = 0; cpu < cpus; cpu++) {
        uint64_t own = generators[cpu].fixture + FIX_OWN;
        check_is(create_thread(own, OWN_PD, page_of(&generators[cpu], PAGE_OWN), cpu, thread_stack(generator_thread), ~0ull,
                               (uint64_t)thread_entry), ABI_OK);
        check_is(create_sc(own + 1, OWN_PD, own, PRIO_GENERATOR, 1000), ABI_OK);
    }
    for (uint64_t cpu = 0; cpu < cpus; cpu++)
        while (!generators[cpu].finished)
            sm_down(ABI_SEL_FREE, 0, tsc() + ticks(10000), 0);
    report(cpus, option("least", 20));
    for (uint64_t cpu = 0; cpu < cpus; cpu++)
        world_end(&generators[cpu]);
    /* Selectors drawn at random lie anywhere. */
    check_is(revoke(OWN_OBJ, ABI_SEL_FREE + 1, ABI_SEL_MAX - ABI_SEL_FREE, ABI_REVOKE_SELF), ABI_OK);
    check_is(revoke(OWN_HST, GUEST / PAGE, GUEST_PAGES, ABI_REVOKE_SELF), ABI_OK);
}
