/* SPDX-License-Identifier: MIT */
/*
 * Instructions of segmentation, privilege and tasks, each from a random state in a random world of descriptors, and a
 * line of what came of it on port E9h (Bochs) and on the serial line: the same program runs in Bochs and on Graft's
 * engines, and their lines must be equal. Command line: seed=N count=N.
 */
#include "judge.h"

static inline void out8(uint16_t port, uint8_t v) { __asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port)); }

struct __attribute__((packed)) table {
    uint16_t limit;
    uint32_t base;
};

/* As judge.S loads and saves it. */
struct frame {
    uint32_t gs, fs, es, ds, edi, esi, ebp, unused, ebx, edx, ecx, eax;
};

struct caught {
    struct frame frame;
    uint32_t vector, error, eip, cs, eflags, esp, ss;
};

struct frame judge_frame;
struct __attribute__((packed)) { uint32_t esp; uint16_t ss; } judge_entry_stack;
extern char judge_entries[], judge_double[];
void judge_enter(void);
void judge_caught(uint32_t ss, uint32_t esp);
void judge_main(const uint32_t *multiboot);

static uint64_t *const gdt = (uint64_t *)ARENA_GDT, *const ldt = (uint64_t *)ARENA_LDT, *const idt = (uint64_t *)ARENA_IDT;
static uint32_t state = 1;
static unsigned code_length;
static uint8_t code[16];

uint32_t judge_random(void)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

static void put(const char *text)
{
    for (; *text; text++) {
        out8(0xe9, (uint8_t)*text);
        out8(0x3f8, (uint8_t)*text);
    }
}

static void put_hex(const char *name, uint32_t value)
{
    char text[9], *p = text + 8;

    *p = 0;
    do
        *--p = "0123456789abcdef"[value & 15];
    while (value >>= 4);
    put(name);
    put(p);
}

static void fill(uint32_t at, uint32_t size, uint8_t value)
{
    uint8_t *p = (uint8_t *)at;

    __asm__ volatile("rep stosb" : "+D"(p), "+c"(size) : "a"(value) : "memory");
}

static uint64_t descriptor(uint32_t base, uint32_t limit, uint8_t access, uint8_t flags)
{
    return (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 | (uint64_t)access << 40 | (uint64_t)(limit >> 16 & 15) << 48 |
           (uint64_t)flags << 52 | (uint64_t)(base >> 24) << 56;
}

static uint64_t gate(uint32_t offset, uint16_t selector, uint8_t access, uint8_t count)
{
    return (offset & 0xffff) | (uint64_t)selector << 16 | (uint64_t)count << 32 | (uint64_t)access << 40 |
           (uint64_t)(offset >> 16) << 48;
}

static uint16_t own_selector(void)
{
    static const uint16_t own[8] = {0, CODE_0, DATA_0, CODE_3, DATA_3, TSS_OWN, LDT_OWN, TSS_DF};

    return own[below(8)];
}

uint16_t judge_selector(void)
{
    uint16_t s = below(8) == 0 ? own_selector()
                 : below(4)    ? (uint16_t)((RANDOM_GDT + below(GDT_COUNT - RANDOM_GDT)) * 8)
                               : (uint16_t)(below(LDT_COUNT) * 8 | 4);

    if (below(64) == 0)
        s = (uint16_t)judge_random();
    return (uint16_t)((s & ~3u) | (below(2) ? below(4) : below(2) * 3));
}

static uint8_t access_byte(uint8_t type)
{
    return (uint8_t)(type | (below(2) ? below(4) : below(2) * 3) << 5 | (below(16) ? 0x80 : 0));
}

static uint64_t random_descriptor(void)
{
    uint32_t base = below(4) ? 0 : ARENA, limit = below(4) ? 0xfffff : below(0x10000);
    uint8_t flags = (uint8_t)(limit == 0xfffff ? 0xc : below(2) * 4);

    switch (below(8)) {
    case 0: case 1:
        return descriptor(base, limit, access_byte((uint8_t)(0x18 | below(8))), below(4) ? flags : flags & 8);
    case 2: case 3:
        return descriptor(base, limit, access_byte((uint8_t)(0x10 | below(8))), below(8) ? flags : flags & 8);
    case 4:
        return gate(below(0x1000), judge_selector(), access_byte(below(2) ? 0xc : 4), (uint8_t)below(4));
    case 5:
        return gate(0, (uint16_t)((RANDOM_GDT + below(GDT_COUNT - RANDOM_GDT)) * 8), access_byte(5), 0);
    case 6:
        return descriptor(ARENA_TSS + 0x100 * (2 + below(6)), below(8) ? 0x67 + below(4) : below(0x70),
                          access_byte((uint8_t)(below(4) ? 1 + below(2) * 8 : 3 + below(2) * 8)), 0);
    default:
        return below(2) ? descriptor(ARENA_LDT, LDT_COUNT * 8 - 1, access_byte(2), 0)
                        : descriptor(base, limit, access_byte((uint8_t)below(16)), flags);
    }
}

/* A task that can be entered, more or less; either format of the same bytes. */
static void random_tss(struct tss *t)
{
    uint32_t *word = (uint32_t *)t;
    uint16_t *half = (uint16_t *)t;

    for (unsigned i = 0; i < 26; i++)
        word[i] = judge_random();
    if (below(3) == 0) { // 16 bits: link, SP0, SS0, ..., IP at 14, FLAGS 16, AX to DI 18 to 33, ES CS SS DS LDT
        half[0] = judge_selector();
        half[1] = 0x8800;
        half[2] = DATA_0;
        half[7] = (uint16_t)below(0x1000);
        half[8] = (uint16_t)((half[8] & 0x3ed5) | 2);
        half[13] = 0x8000;
        half[17] = below(4) ? DATA_0 : judge_selector();
        half[18] = below(4) ? CODE_0 : judge_selector();
        half[19] = below(4) ? DATA_0 : judge_selector();
        half[20] = below(4) ? DATA_0 : judge_selector();
        half[21] = below(4) ? LDT_OWN : judge_selector();
        return;
    }
    t->link = judge_selector();
    t->esp0 = ARENA_STACK + 0x1800;
    t->ss0 = DATA_0;
    t->ss1 = judge_selector();
    t->ss2 = judge_selector();
    t->esp1 = t->esp2 = ARENA_STACK;
    t->cr3 = 0;
    t->eip = below(0x1000);
    t->eflags = (t->eflags & 0x47ed5) | (below(16) ? 0 : 1u << 17);
    t->gpr[4] = ARENA_STACK;
    t->es = below(3) ? DATA_3 : judge_selector();
    t->ds = below(3) ? DATA_3 : judge_selector();
    t->fs = below(3) ? 0 : judge_selector();
    t->gs = below(3) ? 0 : judge_selector();
    t->cs = below(2) ? CODE_0 : below(2) ? CODE_3 : judge_selector();
    t->ss = below(8) == 0 ? judge_selector() : (t->cs & 3) ? DATA_3 : DATA_0;
    t->ldt = below(4) ? LDT_OWN : below(2) ? 0 : judge_selector();
    t->io = below(2) ? 0x68u << 16 : below(0x80) << 16 | below(2);
}

static void build_tables(void)
{
    gdt[0] = 0;
    gdt[1] = descriptor(0, 0xfffff, 0x9b, 0xc);
    gdt[2] = descriptor(0, 0xfffff, 0x93, 0xc);
    gdt[3] = descriptor(0, 0xfffff, 0xfb, 0xc);
    gdt[4] = descriptor(0, 0xfffff, 0xf3, 0xc);
    gdt[5] = descriptor(ARENA_TSS, 0xff, 0x89, 0);
    gdt[6] = descriptor(ARENA_LDT, LDT_COUNT * 8 - 1, 0x82, 0);
    gdt[7] = descriptor(ARENA_TSS + 0x100, 0x67, 0x89, 0);
    for (unsigned i = RANDOM_GDT; i < GDT_COUNT; i++)
        gdt[i] = random_descriptor();
    for (unsigned i = 0; i < LDT_COUNT; i++)
        ldt[i] = random_descriptor();
    for (unsigned i = 0; i < 32; i++)
        idt[i] = gate((uint32_t)judge_entries + 16 * i, CODE_0, i == 3 ? 0xee : 0x8e, 0);
    idt[8] = gate(0, TSS_DF, 0x85, 0);
    for (unsigned i = 0; i < GATE_COUNT; i++) {
        static const uint8_t types[8] = {0xe, 0xe, 0xf, 0xf, 6, 7, 5, 5};
        uint8_t type = below(16) ? types[below(8)] : (uint8_t)below(32);

        idt[GATES + i] = gate(below(0x1000), judge_selector(), access_byte(type), 0);
    }
    for (unsigned i = 2; i < 8; i++)
        random_tss((struct tss *)(ARENA_TSS + 0x100 * i));
}

static void build_tasks(void)
{
    struct tss *own = (struct tss *)ARENA_TSS, *df = (struct tss *)(ARENA_TSS + 0x100);

    random_tss(own);
    own->link = below(2) ? judge_selector() : 0;
    own->esp0 = ARENA_STACK + 0x1800;
    own->ss0 = DATA_0;
    own->io = 0x68u << 16;
    for (unsigned i = 0; i < 0x40; i++)
        ((uint8_t *)own)[0x68 + i] = (uint8_t)judge_random();
    *df = (struct tss){.eip = (uint32_t)judge_double, .eflags = 2, .cs = CODE_0, .ss = DATA_0, .ds = DATA_0, .es = DATA_0,
                       .io = 0x68u << 16};
    df->gpr[4] = ARENA_STACK + 0x1f00;
}

static void load_tables(void)
{
    struct table g = {GDT_COUNT * 8 - 1, ARENA_GDT}, i = {0x7ff, ARENA_IDT};
    uint16_t tr = TSS_OWN, l = LDT_OWN;

    __asm__ volatile("lgdt %0; lidt %1; lldt %2; ltr %3" : : "m"(g), "m"(i), "r"(l), "r"(tr) : "memory");
    __asm__ volatile("mov %0, %%dr6; mov %1, %%dr7" : : "r"(0xffff0ff0u), "r"(0x400u));
    __asm__ volatile("pushl $2; popfl; mov %0, %%cr0" : : "r"(below(2) ? 0x40031u : 0x31u) : "memory");
}

static uint32_t data_selector(const struct start *s)
{
    return s->virtual8086 ? below(0x1000) : below(2) ? (s->cpl ? DATA_3 : DATA_0) : below(2) ? DATA_3 : 0;
}

static void build_start(struct start *s)
{
    s->cpl = below(2) * 3;
    s->virtual8086 = s->cpl && below(4) == 0;
    s->eax = below(4) ? judge_selector() : judge_random();
    s->ecx = below(8);
    s->edx = judge_selector();
    s->ebx = ARENA_DATA;
    s->ebp = s->esp = s->virtual8086 ? 0x8000 : ARENA_STACK;
    s->esi = ARENA_DATA + below(64);
    s->edi = ARENA_DATA + 64 + below(64);
    s->eflags = (judge_random() & 0x43ed5 & ~0x100u) | 2 | (below(4) ? 0 : 0x4000) | (s->virtual8086 ? 0x20000 : 0);
    s->ds = data_selector(s);
    s->es = data_selector(s);
    s->fs = data_selector(s);
    s->gs = data_selector(s);
}

/* Writes the frame of the IRET that begins the test. */
static void build_entry(const struct start *s)
{
    uint32_t *p = (uint32_t *)(s->cpl ? ARENA_STACK + 0x1c00 : s->esp - 12);

    judge_entry_stack.esp = (uint32_t)p;
    judge_entry_stack.ss = DATA_0;
    p[0] = s->virtual8086 ? 0x100 : ARENA_CODE + 0x100;
    p[1] = s->virtual8086 ? 0x1000 : s->cpl ? CODE_3 : CODE_0;
    p[2] = s->eflags;
    if (s->cpl) {
        p[3] = s->esp;
        p[4] = s->virtual8086 ? 0 : DATA_3;
        p[5] = s->es;
        p[6] = s->ds;
        p[7] = s->fs;
        p[8] = s->gs;
    }
    judge_frame = (struct frame){
        .eax = s->eax, .ecx = s->ecx, .edx = s->edx, .ebx = s->ebx, .ebp = s->ebp, .esi = s->esi, .edi = s->edi,
    };
    if (!s->virtual8086) {
        judge_frame.ds = s->ds;
        judge_frame.es = s->es;
        judge_frame.fs = s->fs;
        judge_frame.gs = s->gs;
    }
}

static uint32_t digest(uint32_t at, uint32_t size)
{
    uint32_t h = 2166136261u;

    for (const uint32_t *p = (const uint32_t *)at; size; p++, size -= 4)
        h = (h ^ *p) * 16777619u;
    return h;
}

/* The descriptor of the stack segment that was in use; its base and B are what find the frame. */
static uint32_t linear_stack(uint32_t ss, uint32_t esp)
{
    uint64_t d = (ss & 4 ? ldt : gdt)[ss >> 3 & 0x1f];
    uint32_t base = (uint32_t)(d >> 16 & 0xffffff) | (uint32_t)(d >> 56) << 24;

    if (!(ss & 4))
        d = gdt[ss >> 3 < GDT_COUNT ? ss >> 3 : 2], base = (uint32_t)(d >> 16 & 0xffffff) | (uint32_t)(d >> 56) << 24;
    return base + (d >> 54 & 1 ? esp : esp & 0xffff);
}

/* Whether RF is set in the state that a double fault leaves, the manual does not say. */
static void forget_rf(void)
{
    uint16_t link = *(uint16_t *)(ARENA_TSS + 0x100);
    uint64_t d = gdt[link >> 3 < GDT_COUNT ? link >> 3 : 5];

    ((struct tss *)((uint32_t)(d >> 16 & 0xffffff) | (uint32_t)(d >> 56) << 24))->eflags &= ~0x10000u;
}

void judge_caught(uint32_t ss, uint32_t esp)
{
    const struct caught *c = (const struct caught *)linear_stack(ss & 0xffff, esp);
    uint32_t tr, l, cr0;
    bool outer;

    if ((uint32_t)c >= 0x1000000) { // no RAM there: nothing was saved
        put(" no stack\n");
        return;
    }
    outer = (c->cs & 3) || (c->eflags & 0x20000);

    if (c->vector == 8)
        forget_rf();
    __asm__ volatile("str %0; sldt %1; mov %%cr0, %2" : "=r"(tr), "=r"(l), "=r"(cr0));
    put_hex(" v", c->vector);
    put_hex(".", c->error);
    if (c->vector != 8) {
        put_hex(" ", c->cs & 0xffff);
        put_hex(":", c->eip);
        put_hex(" f", c->eflags);
        put_hex(" sp", outer ? c->ss & 0xffff : ss & 0xffff);
        put_hex(":", outer ? c->esp : esp);
    }
    put_hex(" a", c->frame.eax);
    put_hex(" c", c->frame.ecx);
    put_hex(" d", c->frame.edx);
    put_hex(" b", c->frame.ebx);
    put_hex(" bp", c->frame.ebp);
    put_hex(" si", c->frame.esi);
    put_hex(" di", c->frame.edi);
    put_hex(" ds", c->frame.ds & 0xffff);
    put_hex(" es", c->frame.es & 0xffff);
    put_hex(" fs", c->frame.fs & 0xffff);
    put_hex(" gs", c->frame.gs & 0xffff);
    put_hex(" tr", tr & 0xffff);
    put_hex(" ldt", l & 0xffff);
    put_hex(" cr0 ", cr0);
    put_hex(" m", digest(ARENA_DATA, 0x100));
    put_hex(" ", digest(ARENA_STACK - 0x800, 0x800));
    put_hex(" g", digest(ARENA_GDT, 0x900));
    put_hex(" t", digest(ARENA_TSS, 0x800));
    put_hex(" l", digest(0x7c00, 0x400));
    put("\n");
}

static void one(uint32_t number)
{
    struct start s;
    uint8_t *at;

    fill(ARENA_DATA, 0x100, 0);
    fill(ARENA_STACK - 0x800, 0x2800, 0);
    fill(0x7c00, 0x1000, 0);
    fill(0, 0x1000, 0xcc);
    build_tables();
    build_tasks();
    build_start(&s);
    code_length = judge_write(&s, code, (uint32_t *)(s.virtual8086 ? 0x8000 : ARENA_STACK));
    at = (uint8_t *)(s.virtual8086 ? 0x10100 : ARENA_CODE + 0x100);
    fill((uint32_t)at, 16, 0xcc);
    for (unsigned i = 0; i < code_length; i++)
        at[i] = code[i];
    put_hex("", number);
    put(s.virtual8086 ? " v86" : s.cpl ? " user" : " sup");
    for (unsigned i = 0; i < code_length; i++) {
        put_hex(i ? "" : " ", code[i] >> 4);
        put_hex("", code[i] & 15);
    }
    build_entry(&s);
    load_tables();
    judge_enter();
}

static uint32_t option(const char *text, const char *name, uint32_t value)
{
    for (; *text; text++) {
        unsigned n = 0;

        while (name[n] && text[n] == name[n])
            n++;
        if (name[n])
            continue;
        for (value = 0, text += n; *text >= '0' && *text <= '9'; text++)
            value = value * 10 + (uint32_t)(*text - '0');
        return value;
    }
    return value;
}

void judge_main(const uint32_t *multiboot)
{
    const char *line = multiboot[0] & 4 ? (const char *)multiboot[4] : "";
    uint32_t seed = option(line, "seed=", 1), count = option(line, "count=", 1000), first = option(line, "first=", 0);

    out8(0x21, 0xff);
    out8(0xa1, 0xff);
    fill(0, LOW_SIZE, 0xcc);
    fill(ARENA, ARENA_SIZE, 0);
    fill(ARENA_CODE, 0x1000, 0xcc);
    for (uint32_t i = first; i < first + count; i++) {
        state = seed * 2654435761u ^ (i + 1) * 40503u ^ 0x9e3779b9u;
        for (unsigned n = 0; n < 4; n++)
            (void)judge_random();
        one(i);
    }
    put("end\n");
    out8(0xf4, 0);
}
