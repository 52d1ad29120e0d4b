/* SPDX-License-Identifier: MIT */
/* Machines whose guest RAM lies in the middle of nothing, and page tables full of neighbours. */
#include "tests/cpu/ends.h"

#include "hosts/linux/code_memory.h"
#include "hosts/linux/traps.h"
#include "tests/unit/random.h"
#include "tests/vmm/fake_host.h"
#include "vmm/cpu/control.h"
#include "vmm/engines/interpreter.h"
#include "vmm/engines/recompiler/recompiler.h"
#include "vmm/machine.h"

#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#define PAGE       4096u
#define RAM        (16u << 20)
#define AROUND     (5ull << 30) // on either side of RAM on the host
#define CODE_CACHE (16u << 20)

/* Guest-physical. All else in RAM cannot be touched on the host. */
#define TABLES   0x200000u
#define TABLES_N 48u
#define FIXED    0x300000u // descriptors, handlers, stack of the handlers
#define CODE     0x310000u // two pages
#define BEHIND   RAM       // the first page that is no RAM
#define DEVICE   0xd0000000u

/* The fixed pages, linear; the supervisor's. */
#define KERNEL   0x30000000u
#define IDT      0x000u
#define GDT      0x1000u
#define TSS      0x1800u
#define HANDLERS 0x2000u
#define STACK    0x4000u // top

/* Two that are neighbours in RAM, the first and the last page of it, others with nothing beside them. */
static const uint32_t data[] = {
    0x0, 0x8000, 0xa000, 0x400000, 0x401000, 0x403000, 0x7ff000, 0x801000, 0xc10000, RAM - PAGE,
};
#define DATA (sizeof(data) / sizeof(data[0]))

static const struct {
    uint32_t gpa, size;
} used[] = {{TABLES, TABLES_N * PAGE}, {FIXED, 4 * PAGE}, {CODE, 2 * PAGE}};

#define USED (DATA + 3)

/* Piece n of the memory that a guest can reach. */
static uint32_t piece(unsigned n, uint32_t *size)
{
    *size = n < DATA ? PAGE : used[n - DATA].size;
    return n < DATA ? data[n] : used[n - DATA].gpa;
}

static const uint32_t image[16] = { // Multiboot: a kernel that is never started
    0x1badb002, 0x00010000, 0u - 0x1badb002u - 0x00010000u, 0x100000, 0x100000, 0x100040, 0x100040,
    0x100020, 0xf4f4f4f4,
};

static bool make_engine(struct ends_machine *m, bool recompiler)
{
    struct recompiler_code code;

    if (!recompiler) {
        m->ops = &engine_interpreter;
        m->engine = interpreter_create(m->host, 1);
        return m->engine;
    }
    if (!(getauxval(AT_HWCAP2) & 2) || !__builtin_cpu_supports("avx") ||
        !code_memory_create(&code, CODE_CACHE) || !traps_install())
        return false;
    m->ops = &engine_recompiler;
    m->engine = recompiler_create(m->host, 1, &code);
    return m->engine && traps_begin_thread(m->engine);
}

bool ends_open(struct ends_machine *m, bool recompiler)
{
    const struct vm_config config = {
        .memory = RAM, .vcpus = 1, .kernel = {(const uint8_t *)image, sizeof(image)},
        .command_line = "",
    };
    uint8_t *all = mmap(NULL, 2 * AROUND + RAM, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (all == MAP_FAILED)
        return false;
    m->ram = all + AROUND;
    m->host = fake_host_new(0);
    m->host->guest = m->ram;
    m->host->guest_size = RAM;
    if (mprotect(m->ram, RAM, PROT_READ | PROT_WRITE) < 0 || !make_engine(m, recompiler))
        return false;
    m->vm = vm_create(m->host, m->ops, m->engine, &config);
    if (!m->vm || !(recompiler ? recompiler_attach(m->engine, m->vm) : interpreter_attach(m->engine, m->vm)))
        return false;
    mprotect(m->ram, RAM, PROT_NONE);
    for (unsigned i = 0; i < USED; i++) {
        uint32_t size, gpa = piece(i, &size);

        mprotect(m->ram + gpa, size, PROT_READ | PROT_WRITE);
    }
    return true;
}

void ends_close(struct ends_machine *m, bool recompiler)
{
    mprotect(m->ram, RAM, PROT_READ | PROT_WRITE);
    vm_destroy(m->vm);
    if (recompiler)
        recompiler_destroy(m->engine);
    else
        interpreter_destroy(m->engine);
    munmap(m->ram - AROUND, 2 * AROUND + RAM);
    m->host->guest = NULL;
    fake_host_free(m->host);
}

void ends_copy(struct ends_machine *to, const struct ends_machine *from)
{
    for (unsigned i = 0; i < USED; i++) {
        uint32_t size, gpa = piece(i, &size);

        memcpy(to->ram + gpa, from->ram + gpa, size);
    }
}

uint64_t ends_differ(const struct ends_machine *a, const struct ends_machine *b)
{
    for (unsigned i = 0; i < USED; i++) {
        uint32_t size, gpa = piece(i, &size);

        if (memcmp(a->ram + gpa, b->ram + gpa, size))
            for (uint32_t n = 0; n < size; n++)
                if (a->ram[gpa + n] != b->ram[gpa + n])
                    return gpa + n;
    }
    return ~0ull;
}

/* --- Page tables --- */

#define ENTRY_P  1u
#define ENTRY_W  2u
#define ENTRY_U  4u
#define ENTRY_A  0x20u
#define ENTRY_D  0x40u
#define ENTRY_NX (1ull << 63)

struct tables {
    uint8_t *ram;
    enum ends_kind kind;
    uint32_t free;
};

static unsigned levels(enum ends_kind kind)
{
    return kind == ENDS_LEGACY ? 2 : kind == ENDS_PAE ? 3 : 4;
}

static void map(struct tables *t, uint64_t linear, uint64_t entry)
{
    unsigned size = t->kind == ENDS_LEGACY ? 4 : 8, bits = size == 4 ? 10 : 9;
    uint64_t table = TABLES, value;

    for (unsigned level = levels(t->kind) - 1;; level--) {
        uint64_t at = table + (linear >> (12 + bits * level) & ((1u << bits) - 1)) * size;

        if (level == 0) {
            if (size == 4)
                entry &= 0xffffffff;
            memcpy(t->ram + at, &entry, size);
            return;
        }
        value = 0;
        memcpy(&value, t->ram + at, size);
        if (!(value & ENTRY_P)) {
            if (t->free >= TABLES + TABLES_N * PAGE)
                abort();
            value = t->free | (t->kind == ENDS_PAE && level == 2 ? 1 : 7);
            t->free += PAGE;
            memcpy(t->ram + at, &value, size);
        }
        table = value & 0xfffff000;
    }
}

/* What an operand's page may be: mostly data, each page several times. */
static uint64_t draw_entry(uint64_t *random, const struct ends_scene *scene)
{
    unsigned what = (unsigned)random_below(random, scene->whole ? 600 : 100);
    uint64_t gpa = data[random_below(random, DATA)], entry = ENTRY_P | ENTRY_W;

    if (what < 8)
        return 0;
    if (what < 16)
        entry &= ~(uint64_t)ENTRY_W;
    else if (what < 20)
        gpa = DEVICE;
    else if (what < 22)
        gpa = BEHIND;
    else if (what < 26)
        gpa = CODE + PAGE * (what & 1);
    if (scene->user ? random_below(random, scene->whole ? 100 : 20) : random_below(random, scene->whole ? 50 : 5) == 0)
        entry |= ENTRY_U;
    if (random_below(random, 4) == 0)
        entry |= ENTRY_A | (entry & ENTRY_W ? random_below(random, 2) * ENTRY_D : 0);
    return gpa | entry | (scene->kind == ENDS_LEGACY ? 0 : ENTRY_NX);
}

static void add(struct tables *t, struct ends_scene *scene, uint64_t linear, uint64_t entry)
{
    unsigned n = 0;

    while (n < scene->count && scene->page[n].linear != linear)
        n++;
    scene->page[n] = (struct ends_page){linear, entry & ENTRY_P ? entry & 0xfffff000 : DEVICE};
    scene->count += n == scene->count;
    map(t, linear, entry);
}

static const uint64_t borders[] = {
    0x10000000, 0x80000000, 0, // these for 32-bit code, too; 0 is the end as well
    0x100000000, 0x110000000, 0x180000000, 0x800000000000, 0xffff800000000000, 0xffffffff80000000,
};

static uint64_t wrap(const struct ends_scene *scene, uint64_t linear)
{
    return scene->mode == 8 ? linear : (uint32_t)linear;
}

static bool canonical(uint64_t linear)
{
    return (uint64_t)((int64_t)(linear << 16) >> 16) == linear;
}

static void map_pages(uint64_t *random, struct ends_scene *scene, struct tables *t)
{
    unsigned count = scene->mode == 8 ? 9 : 3;
    uint64_t code_flags = ENTRY_P | (scene->user ? ENTRY_U : 0);

    if (!scene->user && !(scene->cr4 & CR4_SMEP) && random_below(random, 2))
        code_flags |= ENTRY_U;
    if (random_below(random, 4) == 0)
        code_flags |= ENTRY_W;
    for (unsigned i = 0; i < 4; i++)
        map(t, KERNEL + i * PAGE, (FIXED + i * PAGE) | ENTRY_P | ENTRY_W);
    for (unsigned i = 0; i < count; i++)
        for (int n = -3; n < 3; n++) {
            uint64_t linear = wrap(scene, borders[i] + (uint64_t)(n * (int64_t)PAGE));

            if (canonical(linear) || scene->mode == 4)
                add(t, scene, linear, draw_entry(random, scene));
        }
    scene->codes = 0;
    for (unsigned i = 0; i < 3; i++) {
        uint64_t at = wrap(scene, borders[random_below(random, count)] - (random_below(random, 5) - 1) * PAGE);
        uint64_t next = wrap(scene, at + PAGE);
        bool apart = true;

        for (unsigned n = 0; n < scene->codes; n++)
            apart = apart && at - scene->code[n] + PAGE > 2 * PAGE;
        if (!apart || (scene->mode == 8 && !(canonical(at) && canonical(next))))
            continue;
        add(t, scene, at, CODE | code_flags);
        add(t, scene, next, (CODE + PAGE) | code_flags);
        scene->code[scene->codes++] = at;
    }
    if (scene->codes == 0) {
        scene->code[scene->codes++] = 0x20000000;
        add(t, scene, 0x20000000, CODE | code_flags);
        add(t, scene, 0x20001000, (CODE + PAGE) | code_flags);
    }
}

void ends_allow_marks(struct ends_machine m[2], enum ends_kind kind, bool refused)
{
    unsigned step = kind == ENDS_LEGACY ? 4 : 8;
    uint8_t *ours = m[0].ram + TABLES, mask = (uint8_t)(ENTRY_A | (refused ? ENTRY_D : 0));
    const uint8_t *theirs = m[1].ram + TABLES;

    if (!memcmp(ours, theirs, TABLES_N * PAGE))
        return;
    for (unsigned i = 0; i < TABLES_N * PAGE; i += step)
        if (theirs[i] & ENTRY_P)
            ours[i] |= theirs[i] & mask;
}

/* --- Descriptors and handlers --- */

static void put(uint8_t *ram, uint32_t at, uint64_t value, unsigned size)
{
    memcpy(ram + FIXED + at, &value, size);
}

static void make_fixed(uint8_t *ram, enum ends_kind kind)
{
    static const uint64_t gdt[7] = { // 64-bit code, code, data; the user's code, data, 64-bit code
        0, 0x00209b0000000000, 0x00cf9b000000ffff, 0x00cf93000000ffff, 0x00cffb000000ffff,
        0x00cff3000000ffff, 0x0020fb0000000000,
    };

    for (unsigned i = 0; i < 32; i++) {
        uint64_t to = KERNEL + HANDLERS + 16 * i, gate;

        gate = (to & 0xffff) | 0x8e00ull << 32 | (to >> 16) << 48;
        if (kind >= ENDS_PAE) {
            put(ram, IDT + 8 * i, gate | 0x10ull << 16, 8);
        } else {
            put(ram, IDT + 16 * i, gate | 8ull << 16 | 1ull << 32, 8); // IST 1
            put(ram, IDT + 16 * i + 8, 0, 8);
        }
        put(ram, HANDLERS + 16 * i, 0xf4, 8); // HLT
    }
    memcpy(ram + FIXED + GDT, gdt, sizeof(gdt));
    if (kind >= ENDS_PAE) {
        put(ram, TSS + 4, KERNEL + STACK, 4);
        put(ram, TSS + 8, 0x18, 4);
    } else {
        put(ram, TSS + 4, KERNEL + STACK, 8);
        put(ram, TSS + 36, KERNEL + STACK, 8);
    }
}

void ends_set_mode(const struct ends_scene *scene, struct cpu_state *s)
{
    unsigned dpl = scene->user ? CPU_SEG_DPL : 0, present = CPU_SEG_P | CPU_SEG_S | dpl;
    struct cpu_segment flat = {
        (uint16_t)(scene->user ? 0x2b : 0x18), (uint16_t)(CPU_SEG_G | CPU_SEG_DB | present | 3), 0xffffffff, 0,
    };

    s->ss = s->ds = s->es = s->fs = s->gs = flat;
    s->fs.base = scene->base[0];
    s->gs.base = scene->base[1];
    s->kernel_gs_base = scene->base[0];
    s->cs = flat;
    s->cs.sel = (uint16_t)(scene->mode == 8 ? (scene->user ? 0x33 : 0x08) : scene->user ? 0x23 : 0x10);
    s->cs.attr = (uint16_t)(present | 0xb | (scene->mode == 8 ? CPU_SEG_L : CPU_SEG_DB | CPU_SEG_G));
    s->tr = (struct cpu_segment){0x40, CPU_SEG_P | 0xb, 0x67, KERNEL + TSS};
    s->ldtr = (struct cpu_segment){0, CPU_SEG_P | 2, 0, 0};
    s->gdtr = (struct cpu_segment){0, 0, 0x37, KERNEL + GDT};
    s->idtr = (struct cpu_segment){0, 0, 0x1ff, KERNEL + IDT};
    s->cr0 = scene->cr0;
    s->cr2 = 0;
    s->cr3 = TABLES;
    s->cr4 = scene->cr4;
    s->efer = scene->kind == ENDS_LEGACY ? 0 : EFER_NXE | (scene->kind <= ENDS_COMPAT ? EFER_LME | EFER_LMA : 0);
    s->xcr0 = 7;
    s->event = 0;
    s->shadow = 0;
    s->requests = 0;
    s->dr7 = 0x400;
    s->dr6 = 0xffff0ff0;
}

static void draw_mode(uint64_t *random, struct ends_scene *scene)
{
    scene->kind = (enum ends_kind)(random_below(random, 5) ? random_below(random, ENDS_KINDS) : ENDS_LONG);
    scene->user = random_below(random, 3);
    scene->mode = scene->kind == ENDS_LONG ? 8 : 4;
    scene->whole = random_below(random, 2);
    scene->rubbish = random_below(random, 4) ? 0 : (random_below(random, 2) ? 1 : random_u64(random)) << 32;
    scene->cr0 = CR0_PE | CR0_MP | CR0_NE | CR0_PG | (random_below(random, 4) ? CR0_WP : 0) |
                 (random_below(random, 4) ? 0 : CR0_AM);
    scene->cr4 = CR4_OSFXSR | CR4_OSXSAVE | CR4_OSXMMEXCPT | CR4_TSD | (scene->kind == ENDS_LEGACY ? 0 : CR4_PAE) |
                 (random_below(random, 2) ? CR4_SMAP : 0) | (random_below(random, 2) ? CR4_FSGSBASE : 0) | (random_below(random, 2) ? CR4_SMEP : 0);
}

void ends_draw_scene(uint64_t *random, struct ends_scene *scene, struct ends_machine m[2])
{
    struct tables t;

    draw_mode(random, scene);
    t = (struct tables){m[0].ram, scene->kind, TABLES + PAGE};
    memset(m[0].ram + TABLES, 0, TABLES_N * PAGE);
    memset(m[0].ram + FIXED, 0, 4 * PAGE);
    make_fixed(m[0].ram, scene->kind);
    scene->count = 0;
    map_pages(random, scene, &t);
    for (unsigned i = 0; i < 2; i++)
        scene->base[i] = wrap(scene, random_below(random, 3) ? scene->page[random_below(random, scene->count)].linear +
                                         random_below(random, 64) - 32 : 0);
    if (scene->mode == 8)
        for (unsigned i = 0; i < 2; i++)
            scene->base[i] = canonical(scene->base[i]) ? scene->base[i] : 0;
    for (unsigned i = 0; i < DATA; i++) {
        uint64_t word = random_u64(random);

        for (unsigned n = 0; n < PAGE; n += 8) {
            uint64_t value = random_below(&word, 4) ? random_u64(&word)
                                                    : scene->page[random_below(&word, scene->count)].linear + n;
            memcpy(m[0].ram + data[i] + n, &value, 8);
        }
    }
    memset(m[0].ram + CODE, 0xf4, 2 * PAGE);
    ends_copy(&m[1], &m[0]);
    for (unsigned i = 0; i < 2; i++) {
        struct memory *memory = &m[i].vm->memory;

        m[i].ops->invalidate(m[i].engine, 0);
        for (unsigned n = 0; n < USED && memory->watch.wrote; n++) { // handlers and data have been code, too
            uint32_t size, gpa = piece(n, &size);

            memory->watch.wrote(memory->watch.arg, gpa, size);
        }
    }
}

void ends_put(struct ends_machine m[2], unsigned offset, const uint8_t *bytes, unsigned length)
{
    for (unsigned i = 0; i < 2; i++) {
        struct memory *memory = &m[i].vm->memory;

        memcpy(m[i].ram + CODE + offset, bytes, length);
        if (memory->watch.wrote)
            memory->watch.wrote(memory->watch.arg, CODE + offset, length);
    }
}

void ends_remap(uint64_t *random, struct ends_scene *scene, struct ends_machine m[2])
{
    uint64_t linear = scene->page[random_below(random, scene->count)].linear, entry = draw_entry(random, scene);

    for (unsigned i = 0; i < scene->codes; i++)
        if (linear - scene->code[i] < 2 * PAGE || (scene->mode == 4 && (uint32_t)(linear - scene->code[i]) < 2 * PAGE))
            return;
    for (unsigned i = 0; i < 2; i++) {
        struct tables t = {m[i].ram, scene->kind, TABLES + TABLES_N * PAGE};

        add(&t, scene, linear, entry);
        m[i].ops->invalidate(m[i].engine, 0);
    }
}

bool ends_has(const struct ends_machine *m, unsigned offset, const uint8_t *bytes, unsigned length)
{
    return !memcmp(m->ram + CODE + offset, bytes, length);
}

uint8_t *ends_at(const struct ends_machine *m, const struct ends_scene *scene, uint64_t linear)
{
    uint64_t page = linear & ~(PAGE - 1ull);

    if (linear - KERNEL < STACK)
        return m->ram + FIXED + (linear - KERNEL);
    for (unsigned i = 0; i < scene->count; i++)
        if (scene->page[i].linear == page)
            return scene->page[i].gpa < RAM ? m->ram + scene->page[i].gpa + linear % PAGE : NULL;
    return NULL;
}

const char *ends_kind_name(enum ends_kind kind)
{
    static const char *const names[] = {"64-bit", "compatibility", "32-bit with PAE", "32-bit without PAE"};

    return names[kind];
}
