/* SPDX-License-Identifier: MIT */
/*
 * What several processors see of each other's memory accesses: litmus tests of the memory model, locked instructions, modified code, TLB shootdown.
 * `cpus=N` (2 to 4) of them run the same test at the same time, `percent=N` of the usual rounds; each test goes over an array of cells, so that they need not wait for each other within it.
 */
#include "guest.h"

#define APIC 0xfee00000u
#define START 0x8000u
#define CELLS 2048u
#define CPUS 4u
#define WINDOW 0x40000000u // a page by a table entry of its own
#define SHOOT 0x50

enum { ID = 0x20, EOI = 0xb0, SVR = 0xf0, ICR = 0x300, ICR_HIGH = 0x310 };
enum { P = 1, W = 2, LARGE = 0x80 };

struct cell {
    volatile uint32_t x;
    uint32_t gap1[15];
    volatile uint32_t y;
    uint32_t gap2[15];
};

struct test_case {
    const char *name;
    void (*run)(uint32_t cpu, uint32_t round);
    bool (*check)(uint32_t round); // after each round, on the first processor; NULL: the processors check
    uint32_t rounds;
};

extern char ap_start[], ap_end[];
extern void (*ap_entry)(void);
void litmus_long(void *numbers, uint32_t count, void *cr3);

static struct cell cells[CELLS] __attribute__((aligned(64)));
static uint8_t seen[CPUS][2][CELLS];
static volatile uint32_t cpus, alive, arrived, generation, wrong, allowed, ended;
static const struct test_case *volatile current;
static volatile uint32_t current_round;

static uint64_t pdpt[4] __attribute__((aligned(4096))), pdpt_long[512] __attribute__((aligned(4096)));
static uint64_t pml4[512] __attribute__((aligned(4096))), directories[4][512] __attribute__((aligned(4096)));
static volatile uint64_t window_table[512] __attribute__((aligned(4096)));
static uint8_t frames[2][4096] __attribute__((aligned(4096)));
static uint8_t code[4096] __attribute__((aligned(4096)));
static const uint64_t gdt[] = {0, 0x00cf9b000000ffffull, 0x00cf93000000ffffull, 0x00af9b000000ffffull};

static uint32_t rd(uint32_t reg) { return *(volatile uint32_t *)(APIC + reg); }
static void wr(uint32_t reg, uint32_t value) { *(volatile uint32_t *)(APIC + reg) = value; }
static volatile uint32_t *word_at(void *p) { return p; }
static void pause(void) { __asm__ volatile("pause" : : : "memory"); }
static void add(volatile uint32_t *to, uint32_t n) { __asm__ volatile("lock addl %1, %0" : "+m"(*to) : "r"(n) : "memory"); }

/* All processors come, then all go. */
static void meet(void)
{
    uint32_t old = generation, n = 1;

    __asm__ volatile("lock xaddl %0, %1" : "+r"(n), "+m"(arrived) : : "memory");
    if (n + 1 == cpus) {
        arrived = 0;
        generation = old + 1;
    } else {
        while (generation == old)
            pause();
    }
}

/* Who does what changes with the round, so that each pair of processors is tried. */
static uint32_t part(uint32_t cpu, uint32_t round)
{
    return (cpu + round) % cpus;
}

/* Store buffering: 0 0 is allowed, unless something serialises. */
#define BUFFERING(name, between)                                                                                                  \
    static void name(uint32_t cpu, uint32_t round)                                                                                \
    {                                                                                                                             \
        uint32_t me = part(cpu, round);                                                                                           \
        if (me > 1)                                                                                                               \
            return;                                                                                                               \
        for (uint32_t i = 0; i < CELLS; i++) {                                                                                    \
            volatile uint32_t *own = me ? &cells[i].y : &cells[i].x, *other = me ? &cells[i].x : &cells[i].y;                     \
            uint32_t got, one = 1;                                                                                                \
            __asm__ volatile(between "movl %3, %0" : "=&r"(got), "+m"(*own), "+r"(one) : "m"(*other) : "memory");                 \
            seen[me][0][i] = (uint8_t)got;                                                                                        \
        }                                                                                                                         \
    }
BUFFERING(buffer, "movl %2, %1\n")
BUFFERING(buffer_mfence, "movl %2, %1\nmfence\n")
BUFFERING(buffer_lock, "movl %2, %1\nlock addl $0, (%%esp)\n")
BUFFERING(buffer_xchg, "xchgl %2, %1\n")

static uint32_t both_zero(void)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < CELLS; i++)
        n += !seen[0][0][i] && !seen[1][0][i];
    return n;
}

static bool buffer_check(uint32_t round)
{
    (void)round;
    allowed += both_zero();
    return true;
}

static bool buffer_never(uint32_t round)
{
    (void)round;
    return both_zero() == 0;
}

/* A store, a store; a load, a load in the other order. */
static void store_two(volatile uint32_t *first, volatile uint32_t *second)
{
    __asm__ volatile("movl $1, %0\nmovl $1, %1" : "=m"(*first), "=m"(*second) : : "memory");
}

static void load_two(volatile uint32_t *first, volatile uint32_t *second, uint32_t me, uint32_t i)
{
    uint32_t a, b;

    __asm__ volatile("movl %2, %0\nmovl %3, %1" : "=&r"(a), "=&r"(b) : "m"(*first), "m"(*second) : "memory");
    seen[me][0][i] = (uint8_t)a;
    seen[me][1][i] = (uint8_t)b;
}

static void message(uint32_t cpu, uint32_t round)
{
    uint32_t me = part(cpu, round);

    for (uint32_t i = 0; i < CELLS && me < 2; i++)
        if (me == 0)
            store_two(&cells[i].x, &cells[i].y);
        else
            load_two(&cells[i].y, &cells[i].x, me, i);
}

static bool message_check(uint32_t round)
{
    (void)round;
    for (uint32_t i = 0; i < CELLS; i++)
        if (seen[1][0][i] && !seen[1][1][i])
            return false;
    return true;
}

/* A load, then a store to what the other one loads. */
static void load_buffer(uint32_t cpu, uint32_t round)
{
    uint32_t me = part(cpu, round);

    for (uint32_t i = 0; i < CELLS && me < 2; i++) {
        uint32_t got;
        __asm__ volatile("movl %2, %0\nmovl $1, %1"
                         : "=&r"(got), "=m"(*(me ? &cells[i].x : &cells[i].y)) : "m"(*(me ? &cells[i].y : &cells[i].x)) : "memory");
        seen[me][0][i] = (uint8_t)got;
    }
}

static bool load_buffer_check(uint32_t round)
{
    (void)round;
    for (uint32_t i = 0; i < CELLS; i++)
        if (seen[0][0][i] && seen[1][0][i])
            return false;
    return true;
}

/* Independent reads of independent writes: both readers agree about the order. */
static void iriw(uint32_t cpu, uint32_t round)
{
    uint32_t me = part(cpu, round);

    for (uint32_t i = 0; i < CELLS; i++)
        if (me == 0)
            cells[i].x = 1;
        else if (me == 1)
            cells[i].y = 1;
        else if (me == 2)
            load_two(&cells[i].x, &cells[i].y, 2, i);
        else
            load_two(&cells[i].y, &cells[i].x, 3, i);
}

static bool iriw_check(uint32_t round)
{
    (void)round;
    for (uint32_t i = 0; i < CELLS; i++)
        if (seen[2][0][i] && !seen[2][1][i] && seen[3][0][i] && !seen[3][1][i])
            return false;
    return true;
}

/* Locked increments of each size, also in two cache lines and two pages; a lock by XCHG around plain ones; plain ones without, for comparison. */
static struct {
    volatile uint8_t byte;
    volatile uint16_t word;
    volatile uint32_t dword, bits, spin, guarded;
    volatile uint64_t qword;
} sums __attribute__((aligned(64)));
static volatile uint32_t plain[16] __attribute__((aligned(64)));
static uint8_t split[3 * 4096] __attribute__((aligned(4096)));
static uint64_t wide[16] __attribute__((aligned(64)));
#define SPLIT_LINE word_at(split + 62)
#define SPLIT_PAGE word_at(split + 4094)
#define ADDS 4096u

static void eight_bytes(void)
{
    __asm__ volatile("movl (%0), %%eax\nmovl 4(%0), %%edx\n"
                     "1: movl %%eax, %%ebx\nmovl %%edx, %%ecx\naddl $1, %%ebx\naddl $3, %%ecx\n"
                     "lock cmpxchg8b (%0)\njnz 1b" : : "D"(&sums.qword) : "eax", "ebx", "ecx", "edx", "memory");
}

static void increments(uint32_t cpu, uint32_t round)
{
    uint32_t one;

    (void)round;
    for (uint32_t i = 0; i < 10 * ADDS; i++)
        __asm__ volatile("incl %0" : "+m"(plain[0]) : : "memory");
    for (uint32_t i = 0; i < ADDS; i++) {
        __asm__ volatile("lock incb %0\nlock addw $1, %1" : "+m"(sums.byte), "+m"(sums.word) : : "memory");
        one = 1;
        __asm__ volatile("lock xaddl %0, %1" : "+r"(one), "+m"(sums.dword) : : "memory");
        __asm__ volatile("lock btcl %1, %0" : "+m"(sums.bits) : "r"(cpu) : "memory");
        eight_bytes();
        one = 1;
        for (;;) {
            __asm__ volatile("xchgl %0, %1" : "+r"(one), "+m"(sums.spin) : : "memory");
            if (!one)
                break;
            pause();
        }
        sums.guarded++;
        sums.spin = 0;
        if (i % 16 == 0) {
            __asm__ volatile("lock incl %0" : "+m"(*SPLIT_LINE) : : "memory");
            __asm__ volatile("lock incl %0" : "+m"(*SPLIT_PAGE) : : "memory");
        }
    }
    litmus_long(wide, ADDS, pml4);
}

static bool increments_check(uint32_t round)
{
    uint32_t n = cpus * ADDS * (round + 1);

    allowed += 10 * cpus * ADDS - plain[0];
    plain[0] = 0;
    return sums.byte == (uint8_t)n && sums.word == (uint16_t)n && sums.dword == n && sums.bits == 0 && sums.guarded == n &&
           sums.qword == ((uint64_t)(3 * n) << 32 | n) && *SPLIT_LINE == n / 16 && *SPLIT_PAGE == n / 16 && wide[0] == n && wide[1] == 3ull * n &&
           wide[2] == n && *word_at((uint8_t *)wide + 60) == n && *word_at(wide + 8) == 0;
}

static uint32_t call(const uint8_t *at)
{
    uint32_t got;

    __asm__ volatile("call *%1" : "=a"(got) : "r"(at) : "ecx", "edx", "memory");
    return got;
}

static void serialise(void)
{
    uint32_t leaf = 0;

    __asm__ volatile("cpuid" : "+a"(leaf) : : "ebx", "ecx", "edx", "memory");
}

/* mov $value, %eax; ret; nop; nop: eight bytes, in one store where they are aligned. */
static void patch(uint8_t *at, uint32_t value)
{
    uint64_t bytes = 0xb8ull | (uint64_t)value << 8 | 0x9090c3ull << 40;
    uint32_t low = (uint32_t)bytes, high = (uint32_t)(bytes >> 32);

    __asm__ volatile("movl (%0), %%eax\nmovl 4(%0), %%edx\n1: lock cmpxchg8b (%0)\njnz 1b" : : "D"(at), "b"(low), "c"(high) : "eax", "edx", "memory");
}

/* One processor writes instructions that the others execute at that time: the old or the new one, nothing else. */
#define PATCHES 2000u
static volatile uint32_t writing, message_number, answers;

static void cross_torn(uint32_t cpu, uint32_t round)
{
    if (part(cpu, round) == 0) {
        for (uint32_t i = 0; i < PATCHES; i++) {
            patch(code + 64, (i & 0xff) * 0x01010101u);
            *(volatile uint8_t *)(code + 130) = i & 1 ? 0x40 : 0x48; // inc %eax, dec %eax
        }
        writing = round + 1;
        return;
    }
    while (writing != round + 1) {
        uint32_t got = call(code + 64);
        if (got != (got & 0xff) * 0x01010101u)
            add(&wrong, 1);
        got = call(code + 128);
        if (got != 1 && got != 0xffffffff)
            add(&wrong, 1);
    }
}

/* With a handshake and a serialising instruction: the new one. */
static void cross_handshake(uint32_t cpu, uint32_t round)
{
    bool writer = part(cpu, round) == 0;

    for (uint32_t i = 1; i <= 60; i++) {
        uint32_t value = round * 1000 + i;
        if (writer) {
            patch(code + 192, value);
            answers = 0;
            message_number = value;
            while (answers != cpus - 1)
                pause();
        } else {
            while (message_number != value)
                pause();
            serialise();
            if (call(code + 192) != value)
                add(&wrong, 1);
            add(&answers, 1);
        }
    }
}

/* Each modifies its own code, all of it in one page. */
static void self_modifying(uint32_t cpu, uint32_t round)
{
    uint8_t *own = code + 1024 + 64 * cpu;

    for (uint32_t i = 0; i < 500; i++) {
        uint32_t value = round << 16 | i << 2 | cpu;
        if (i & 1) {
            patch(own, value);
        } else {
            own[0] = 0xb8;
            *word_at(own + 1) = value;
            own[5] = 0xc3;
        }
        if (call(own) != value)
            add(&wrong, 1);
    }
}

/* A page is taken away from the others while they write to it; after all have acknowledged, nobody writes there. */
static volatile uint32_t acknowledged, shot, taken;

static uint32_t written(uint32_t frame)
{
    uint32_t sum = 0;

    for (uint32_t cpu = 0; cpu < cpus; cpu++)
        sum += *word_at(frames[frame] + 64 * cpu);
    return sum;
}

static void set_window(uint64_t entry)
{
    window_table[0] = entry; // the high half is 0 always, so the two stores do no harm
    __asm__ volatile("invlpg (%0)" : : "r"(WINDOW) : "memory");
    acknowledged = 0;
    wr(ICR, 0xc4000 | SHOOT);
    while (acknowledged != cpus - 1)
        pause();
}

static void shootdown(uint32_t cpu, uint32_t round)
{
    if (part(cpu, round) != 0) {
        __asm__ volatile("sti");
        while (shot != round + 1)
            __asm__ volatile("incl %0" : "+m"(*(volatile uint32_t *)(WINDOW + 64 * cpu)) : : "memory");
        __asm__ volatile("cli");
        return;
    }
    uint32_t first = (uint32_t)frames[0], second = (uint32_t)frames[1];
    for (uint32_t i = 0; i < 60; i++) {
        const uint32_t entries[] = {first | P, 0, second | P | W};
        set_window(entries[i % 3]);
        uint32_t before = written(0);
        for (uint64_t start = tsc(); tsc() - start < 20000;)
            ;
        if (written(0) != before)
            add(&wrong, 1);
        set_window(first | P | W);
        for (uint64_t start = tsc(); written(0) == before && tsc() - start < 4000000000ull;)
            pause();
        if (written(0) == before)
            add(&wrong, 1);
    }
    shot = round + 1;
}

static void handle(struct registers *r)
{
    if (r->vector == SHOOT) {
        __asm__ volatile("invlpg (%0)" : : "r"(WINDOW) : "memory");
        add(&acknowledged, 1);
        wr(EOI, 0);
    } else if (r->vector == 14) {
        add(&taken, 1); // again, until the page is there or the message comes
    } else {
        put("guest: vector ");
        put_number(r->vector);
        put(" at ");
        put_hex(r->eip);
        put("\n");
        finish(false);
    }
}

static const struct test_case cases[] = {
    {"store_buffering", buffer, buffer_check, 400},
    {"store_buffering_mfence", buffer_mfence, buffer_never, 200},
    {"store_buffering_lock", buffer_lock, buffer_never, 200},
    {"store_buffering_xchg", buffer_xchg, buffer_never, 200},
    {"message_passing", message, message_check, 400},
    {"load_buffering", load_buffer, load_buffer_check, 400},
    {"iriw", iriw, iriw_check, 400},
    {"increments", increments, increments_check, 4},
    {"cross_torn", cross_torn, 0, 10},
    {"cross_handshake", cross_handshake, 0, 15},
    {"self_modifying", self_modifying, 0, 20},
    {"shootdown", shootdown, 0, 10},
};

static void prepare(void)
{
    for (uint32_t i = 0; i < CELLS; i++)
        cells[i].x = cells[i].y = 0;
}

static void take_part(uint32_t cpu)
{
    struct {
        uint16_t limit;
        uint32_t base;
    } __attribute__((packed)) gdtr = {sizeof gdt - 1, (uint32_t)gdt};
    uint32_t value;

    __asm__ volatile("lgdt %1\nmov %%cr4, %0\nor $0x20, %0\nmov %0, %%cr4\nmov %2, %%cr3\n" // PAE
                     "mov %%cr0, %0\nor $0x80010000, %0\nmov %0, %%cr0" // PG, WP
                     : "=&r"(value) : "m"(gdtr), "r"(pdpt) : "memory");
    wr(SVR, 0x1ff);
    add(&alive, 1);
    while (cpu != 0) {
        meet();
        if (ended)
            for (;;)
                __asm__ volatile("cli; hlt");
        current->run(cpu, current_round);
        meet();
    }
}

static void ap(void)
{
    take_part(rd(ID) >> 24);
}

/* What is allowed has to be seen too, if the processors run at the same time; more rounds than asked for, if need be. */
static bool run_case(const struct test_case *c, uint32_t percent, bool parallel)
{
    uint32_t rounds = 1 + c->rounds * percent / 100;
    bool good = true, wanted = parallel && (c->check == buffer_check || c->check == increments_check);

    allowed = 0;
    for (uint32_t round = 0; good && (round < rounds || (wanted && !allowed && round < 200 * c->rounds)); round++) {
        prepare();
        current = c;
        current_round = round;
        meet();
        c->run(0, round);
        meet();
        good = (!c->check || c->check(round)) && wrong == 0;
    }
    good &= !wanted || allowed;
    if (!good) {
        put("guest: not so: ");
        put(c->name);
        put("\n");
    }
    if (c->check == buffer_check)
        figure("store_buffering_seen", allowed);
    if (c->check == increments_check)
        figure("plain_increments_lost", allowed);
    return good;
}

static void tables_setup(void)
{
    for (uint32_t i = 0; i < 4; i++) {
        for (uint32_t j = 0; j < 512; j++)
            directories[i][j] = (uint64_t)i << 30 | j << 21 | LARGE | W | P;
        pdpt[i] = (uint32_t)directories[i] | P;
        pdpt_long[i] = (uint32_t)directories[i] | W | P;
    }
    directories[WINDOW >> 30][0] = (uint32_t)window_table | W | P;
    window_table[0] = (uint32_t)frames[0] | W | P;
    pml4[0] = (uint32_t)pdpt_long | W | P;
}

static void code_setup(void)
{
    static const uint8_t step[] = {0x31, 0xc0, 0x40, 0xc3}; // xor %eax, %eax; inc or dec %eax; ret

    patch(code + 64, 0);
    for (uint32_t i = 0; i < sizeof step; i++)
        code[128 + i] = step[i];
}

void test_litmus(void)
{
    uint32_t percent = (uint32_t)option("percent", 100), only = (uint32_t)option("only", 99);
    bool good = true;

    cpus = (uint32_t)option("cpus", 2);
    if (cpus < 2 || cpus > CPUS)
        finish(false);
    guest_handler = handle;
    ap_entry = ap;
    tables_setup();
    code_setup();
    for (char *from = ap_start, *to = (char *)START; from < ap_end; from++, to++)
        *(volatile char *)to = *from;
    take_part(0);
    wr(ICR, 0xc4500);
    wr(ICR, 0xc4600 | START >> 12);
    while (alive != cpus)
        pause();
    for (uint32_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if ((only != 99 && only != i) || (cpus < 4 && cases[i].run == iriw))
            continue;
        good &= run_case(&cases[i], percent, option("parallel", 1));
    }
    figure("faults", taken);
    ended = 1;
    meet();
    finish(good);
}
