/* SPDX-License-Identifier: MIT */
/*
 * Random code against the VM process: `test=random seed=N seconds=S runs=R`, for S seconds
 * and at least R runs. Runs of generated instructions in 64-, 32- and 16-bit user code and in
 * 64-bit supervisor code, on an arena of pages with all kinds of rights, aliases and changing
 * tables. Each exception is counted, registers are
 * drawn anew, and the run goes on behind the instruction. C is compatibility-mode code; long.S
 * changes over.
 */
#include "generate.h"
#include "guest.h"
#include "long.h"

#define FRAMES 0x1000000u // physical: the arena's 16 frames
#define ARENA 0x8000000u // virtual
#define PM_TIMER 0x4008
#define PM_HZ 3579545u

#define NX 0x8000000000000000ull
#define RESERVED 0x0008000000000000ull

static uint64_t gdt[11] = {
    0,
    0x00cf9b000000ffff,
    0x00cf93000000ffff,
    0x00af9b000000ffff,
    0x00cffb000000ffff,
    0x00cff3000000ffff,
    0x00affb000000ffff,
    0x0800fb000000ffff,
    0x0800f3000000ffff, // from the arena on,
};
static uint64_t idt[512];
static uint32_t tss[26];
static struct generator draw; // of everything but instructions too

enum { PIECES = 48 };
static struct {
    uint32_t at[PIECES + 1]; // offsets in the arena
    uint8_t kind[PIECES];
    unsigned pieces, begun, events;
    uint32_t base; // of the code segment
    bool step;
} run;

static uint64_t vectors[256], kinds[GENERATED_KINDS], modes[4], runs, expired;

static uint32_t any(void)
{
    return generator_any(&draw);
}

/* Tables 0-2: all memory for C; 3-5: for user and supervisor code, the low 32 MiB read-only but the
 * island; 6: the arena. */
static void tables_setup(void)
{
    for (volatile uint64_t *p = table(0); p < table(8); p++)
        *p = 0;
    table(0)[0] = (TABLES + 0x1000) | P | W;
    table(1)[0] = (TABLES + 0x2000) | P | W;
    table(1)[3] = (TABLES + 0x7000) | P | W;
    table(7)[LAPIC >> 21 & 511] = LAPIC | P | W | LARGE | 0x18;
    table(3)[0] = (TABLES + 0x4000) | P | W | U;
    table(4)[0] = (TABLES + 0x5000) | P | W | U;
    for (uint32_t i = 0; i < 512; i++)
        table(2)[i] = (uint64_t)i << 21 | P | W | LARGE;
    for (uint32_t i = 0; i < 16; i++)
        table(5)[i] = (uint64_t)i << 21 | P | LARGE | (i == ISLAND >> 21 ? W : 0);
    table(2)[ARENA >> 21] = table(5)[ARENA >> 21] = (TABLES + 0x6000) | P | W | U;
}

/* The arena's pages for the next run: code, plain, read-only, absent, supervisor's, aliases of code
 * and data, a reserved bit, a hole in the machine. */
static void arena_setup(bool supervisor)
{
    static const struct {
        uint8_t frame;
        uint64_t rights;
    } pages[16] = {
        {0, P | W | U},
        {1, P | W | U},
        {2, P | W | U | NX},
        {3, P | U | NX},
        {4, W | U},
        {5, P | W},
        {2, P | W | U},
        {0, P | W | U},
        {8, P | W | U},
        {9, P | W | U},
        {10, P | W | U | RESERVED},
        {11, P | W | U},
        {3, P | U},
        {13, P | W | U},
        {1, P | W | U | NX},
        {8, P | U},
    };

    for (unsigned i = 0; i < 16; i++) {
        uint64_t entry = (FRAMES + pages[i].frame * 0x1000u) | pages[i].rights;
        if (i == 11)
            entry = 0xd0000000u | P | W | U;
        if (supervisor && pages[i].frame < 2)
            entry &= ~(uint64_t)W;
        table(6)[i] = entry;
    }
}

/*
 * What code runs on changes under it: rights, presence, accessed and dirty bits; sometimes without
 * INVLPG. No page with its code becomes a supervisor's to write, who would do anything at all then.
 */
static void storm(bool supervisor)
{
    unsigned i = any() & 15;

    if (i < 2)
        return;
    volatile uint64_t *entry = &table(6)[i];
    uint64_t bits[] = {P, W, U, A, D, A | D, NX, P | W}, change = bits[any() & 7];
    if (supervisor && (*entry & 0xfffff000u) < FRAMES + 0x2000)
        change &= ~(uint64_t)W;
    *entry ^= change;
    if (any() & 1)
        __asm__ volatile("invlpg (%0)" : : "r"(ARENA + i * 4096) : "memory");
}

static uint64_t value(void)
{
    uint32_t x = any(), at = any();

    switch (x & 15) {
    case 0: return at & 0xff;
    case 1: return (uint64_t)(int64_t)(int32_t)at;
    case 2: return (uint64_t)any() << 32 | at;
    case 3: return 0x7fffffffffffull - (at & 15);
    case 4: return 0xffffffffull - (at & 31);
    case 5: return (ARENA | (at & 0xf000)) + 0xff0 + (x >> 8 & 31);
    default: return ARENA | (at & 0xffff);
    }
}

static void draw_registers(struct frame *f)
{
    for (unsigned i = 0; i < 15; i++)
        f->r[i] = value();
    if (any() & 3)
        f->r[13] = any() & 0x3f; // RCX, for counts
    f->rsp = any() & 3 ? ARENA + 0x8000 + (any() & 0xff8) : value();
    f->rflags = (any() & 0x240cd5) | 0x202 | (run.step ? 0x100 : 0);
    if (any() & 7)
        f->rflags &= ~0x40400ull;
}

int (*long_handler)(void);

int long_event(void)
{
    return long_handler();
}

/* Ends the run with 0, else goes on behind the instruction where it stopped. */
static int event(void)
{
    struct frame *f = (struct frame *)(uint32_t)long_frame;
    uint64_t at = f->rip + (f->cs == USER16 ? run.base : 0) - ARENA;
    unsigned piece = run.begun;

    vectors[f->vector & 255]++;
    if (f->vector == 0x40) {
        *(volatile uint32_t *)(LAPIC + 0xb0) = 0;
        expired++;
        return 0;
    }
    while (piece < run.pieces && run.at[piece] <= at)
        kinds[run.kind[piece++]]++;
    if (at > run.at[run.pieces] || piece >= run.pieces || ++run.events > 300)
        return 0;
    if (f->vector != 1 || !run.step) { // a single step goes on where it is
        draw_registers(f);
        f->rip = ARENA + run.at[piece] - (f->cs == USER16 ? run.base : 0);
        storm(f->cs == CS64);
    }
    run.begun = piece;
    return 1;
}

/* What ends a run that comes that far: INT3 or INT 80h. */
static void put_end(uint32_t at)
{
    volatile uint8_t *to = (volatile uint8_t *)FRAMES + at;

    if (any() & 1) {
        to[0] = 0xcc;
    } else {
        to[0] = 0xcd;
        to[1] = 0x80;
    }
}

/* The x87 FPU new, in every second run with some exceptions unmasked and any rounding. */
static void fpu_setup(void)
{
    uint16_t control = any() & 1 ? 0x37f : (any() & 0xf3f) | 0x40;

    __asm__ volatile("fninit; fldcw %0" : : "m"(control));
}

static void one_run(void)
{
    struct frame *f = (struct frame *)(uint32_t)long_frame;
    unsigned mode = any() % 8;
    uint8_t bytes[16];

    mode = mode < 3 ? 0 : mode < 5 ? 1 : mode - 4; // 64-bit user, 32-bit, 16-bit, supervisor
    if (mode > 3)
        mode = 3;
    arena_setup(mode == 3);
    draw.bits = mode == 0 || mode == 3 ? 64 : mode == 1 ? 32 : 16;
    draw.supervisor = mode == 3;
    uint32_t at = any() & 1 ? 0x1000 - (any() & 0x7f) : any() & 0xc00;
    run.pieces = 0, run.begun = 0, run.events = 0, run.step = (any() & 7) == 0;
    while (run.pieces < PIECES) {
        enum generated kind;
        unsigned length = generate(&draw, bytes, &kind);
        run.at[run.pieces] = at;
        run.kind[run.pieces++] = (uint8_t)kind;
        for (unsigned i = 0; i < length; i++)
            ((volatile uint8_t *)FRAMES)[at++] = bytes[i];
    }
    run.at[run.pieces] = at;
    put_end(at);
    run.base = mode == 2 ? ARENA : 0;
    draw_registers(f);
    f->cs = mode == 0 ? USER64 : mode == 1 ? USER32 : mode == 2 ? USER16 : CS64;
    f->ss = mode == 3 ? DATA : mode == 2 ? USER_DATA16 : USER_DATA;
    f->rip = ARENA + run.at[0] - run.base;
    if (mode == 3)
        f->rflags &= ~0x200ull;
    long_data = mode == 2 ? USER_DATA16 : mode == 3 ? DATA : USER_DATA;
    *(volatile uint32_t *)(LAPIC + 0x380) = 3000000; // of its clock
    modes[mode]++;
    runs++;
    fpu_setup();
    long_run();
    *(volatile uint32_t *)(LAPIC + 0x380) = 0;
}

static void descriptors_setup(void)
{
    struct {
        uint16_t limit;
        uint32_t base;
    } __attribute__((packed)) at = {sizeof gdt - 1, (uint32_t)gdt};
    uint64_t base = (uint32_t)tss;

    gdt[9] =
        (sizeof tss - 1) | (base & 0xffffff) << 16 | 0x0000890000000000ull | (base >> 24) << 56;
    tss[9] = ISLAND + 0x10000; // IST 1
    tss[1] = ISLAND + 0x8000;  // RSP 0
    tss[25] = sizeof tss << 16;
    __asm__ volatile("lgdt %0" : : "m"(at));
    for (unsigned i = 0; i < 256; i++) {
        uint64_t entry = (uint32_t)long_entries + i * 16;
        bool user = i == 3 || i == 4 || i == 0x80;
        idt[2 * i] = (entry & 0xffff) | CS64 << 16 | 1ull << 32 | (user ? 0xeeull : 0x8eull) << 40 |
                     (entry >> 16) << 48;
    }
    at.limit = sizeof idt - 1;
    at.base = (uint32_t)idt;
    __asm__ volatile("lidt %0" : : "m"(at));
}

static void cpuid(uint32_t leaf, uint32_t *ecx, uint32_t *edx)
{
    uint32_t eax = leaf, ebx;

    *ecx = 0;
    __asm__("cpuid" : "+a"(eax), "=b"(ebx), "+c"(*ecx), "=d"(*edx));
}

static void processor_setup(void)
{
    uint32_t cr4, ecx, edx;

    cpuid(1, &ecx, &edx);
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    cr4 |= 0x620 | (ecx & 1u << 26 ? 1u << 18 : 0); // PAE, OSFXSR, OSXMMEXCPT, OSXSAVE
    __asm__ volatile("mov %0, %%cr4" : : "r"(cr4));
    if (ecx & 1u << 26)
        __asm__ volatile("xsetbv" : : "a"(ecx & 1u << 28 ? 7 : 3), "d"(0), "c"(0));
    __asm__ volatile("mov %0, %%cr3" : : "r"(TABLES));
    long_mode();
    __asm__ volatile("ltr %w0" : : "r"(TSS));
    wrmsr(0xc0000081, (uint64_t)(USER32 & ~3) << 48 | (uint64_t)CS32 << 32);
    wrmsr(0xc0000082, (uint32_t)long_call);
    wrmsr(0xc0000083, (uint32_t)long_call);
    wrmsr(0xc0000084, 0x47700);
    *(volatile uint32_t *)(LAPIC + 0xf0) = 0x1ff;
    *(volatile uint32_t *)(LAPIC + 0x3e0) = 0xb;
    *(volatile uint32_t *)(LAPIC + 0x320) = 0x40;
    out8(0x21, 0xff);
    out8(0xa1, 0xff);
}

static void report(void)
{
    static const char *const mode_names[] = {"runs_64", "runs_32", "runs_16", "runs_supervisor"};

    for (unsigned i = 0; i < 4; i++)
        figure(mode_names[i], modes[i]);
    for (unsigned i = 0; i < GENERATED_KINDS; i++)
        figure(generated_names[i], kinds[i]);
    for (unsigned i = 0; i < 256; i++)
        if (vectors[i]) {
            put("vector ");
            put_number(i);
            put(" ");
            put_number(vectors[i]);
            put("\n");
        }
    figure("runs", runs);
    figure("expired", expired);
}

void long_setup(void)
{
    tables_setup();
    long_cr3 = long_cr3_inside = TABLES;
    long_frame = ISLAND + 0x10000 - sizeof(struct frame);
    descriptors_setup();
    processor_setup();
}

void test_random(void)
{
    uint64_t seconds = option("seconds", 5), least = option("runs", 0), passed = 0;

    draw.seed = option("seed", 1) * 0x9e3779b97f4a7c15ull | 1;
    long_setup();
    long_cr3_inside = TABLES + 0x3000;
    long_handler = event;
    for (uint32_t last = in32(PM_TIMER), now; passed < seconds * PM_HZ || runs < least;
         last = now) {
        for (unsigned i = 0; i < 16; i++)
            one_run();
        now = in32(PM_TIMER);
        passed += (now - last) & 0xffffff;
    }
    report();
}
