/* SPDX-License-Identifier: MIT */
/* A small guest for directed tests. */
#include "tests/cpu/guest.h"
#include "tests/unit/tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint8_t *ram(void *arg, uint64_t gpa, unsigned size, bool write)
{
    struct guest *g = arg;

    (void)write;
    return gpa < GUEST_RAM && size <= GUEST_RAM - gpa ? g->ram + gpa : NULL;
}

static void record(struct guest *g, bool write, uint64_t gpa, unsigned size, uint64_t value)
{
    if (g->accesses < GUEST_ACCESSES)
        g->access[g->accesses++] = (struct guest_access){write, gpa, value, size};
}

static uint64_t mmio_read(void *arg, uint64_t gpa, unsigned size)
{
    struct guest *g = arg;

    record(g, false, gpa, size, g->device_value);
    return g->device_value;
}

static void mmio_write(void *arg, uint64_t gpa, unsigned size, uint64_t value)
{
    record(arg, true, gpa, size, value);
}

/* Ports are recorded at addresses from 1 << 60. */
static uint32_t port_in(void *arg, uint16_t port, unsigned size)
{
    struct guest *g = arg;

    record(g, false, 1ull << 60 | port, size, g->device_value);
    return (uint32_t)g->device_value;
}

static void port_out(void *arg, uint16_t port, unsigned size, uint32_t value)
{
    record(arg, true, 1ull << 60 | port, size, value);
}

static void need(void *arg, uint32_t groups)
{
    struct guest *g = arg;

    g->needed |= groups;
    g->state->valid |= groups;
}

static const struct interp_ops ops = {
    .ram = ram,
    .mmio_read = mmio_read,
    .mmio_write = mmio_write,
    .port_in = port_in,
    .port_out = port_out,
    .need = need,
};

/* Rows of the opcode table of which an instruction has been done, or left to the vCPU. */
static bool covered[ROW_COUNT];

/* For the test `partition`: one row a line, into the file that it names. */
static void tell_covered(void)
{
    const char *name = getenv("CPU_ROWS");
    FILE *file = name ? fopen(name, "w") : NULL;

    if (!file)
        return;
    for (unsigned row = 0; row < ROW_COUNT; row++)
        if (covered[row])
            fprintf(file, "%u\n", row);
    fclose(file);
}

static enum interp_status cover(const struct guest *g, enum interp_status status)
{
    unsigned row = g->interp.insn.op;
    bool undefined = status == INTERP_FAULT && g->interp.fault.vector == EXCEPTION_UD;

    if (status == INTERP_DONE || status == INTERP_EXIT ||
        (undefined && !strncmp(opcode_name(row), "ud", 2)))
        covered[row] = true;
    return status;
}

void guest_init(struct guest *g)
{
    static bool registered;

    if (!registered)
        atexit(tell_covered);
    registered = true;
    g->ram = calloc(1, GUEST_RAM);
    g->state = aligned_alloc(4096, sizeof *g->state);
    interp_init(&g->interp, g->state, &ops, g, 40);
    guest_reset(g, GUEST_LONG, 0);
}

void guest_free(struct guest *g)
{
    free(g->ram);
    free(g->state);
}

void guest_join(struct guest *g, const struct guest *other)
{
    *g = *other;
    g->state = aligned_alloc(4096, sizeof *g->state);
    memcpy(g->state, other->state, sizeof *g->state);
    interp_init(&g->interp, g->state, &ops, g, 40);
}

static void put_descriptor(struct guest *g, unsigned index, unsigned attr, uint32_t base,
                           uint32_t limit)
{
    uint64_t raw = (limit & 0xffff) | (uint64_t)(base & 0xffffff) << 16 |
                   (uint64_t)(attr & 0xff) << 40 | (uint64_t)(limit >> 16 & 0xf) << 48 |
                   (uint64_t)(attr >> 8) << 52 | (uint64_t)(base >> 24) << 56;

    guest_write(g, GUEST_GDT + 8 * index, 8, raw);
}

static void set_segment(struct cpu_segment *s, unsigned sel, unsigned attr, uint32_t limit)
{
    *s = (struct cpu_segment){.sel = (uint16_t)sel, .attr = (uint16_t)attr, .limit = limit};
}

/*
 * GDT: 08 code and 10 data of CPL 0, 18 code and 20 data of CPL 3, all flat; 28 64-bit code; 30 not
 * present; 38 a 16-bit data segment.
 */
static void put_gdt(struct guest *g)
{
    put_descriptor(g, 1, 0xc9b, 0, 0xfffff);
    put_descriptor(g, 2, 0xc93, 0, 0xfffff);
    put_descriptor(g, 3, 0xcfb, 0, 0xfffff);
    put_descriptor(g, 4, 0xcf3, 0, 0xfffff);
    put_descriptor(g, 5, 0xa9b, 0, 0xfffff);
    put_descriptor(g, 6, 0xc13, 0, 0xfffff);
    put_descriptor(g, 7, 0x093, 0x4000, 0x0fff);
}

void guest_reset(struct guest *g, enum guest_mode mode, unsigned cpl)
{
    struct cpu_state *s = g->state;
    unsigned dpl = cpl << 5, code = mode == GUEST_LONG ? 0xa9b : mode == GUEST_REAL ? 0x9b : 0xc9b;
    unsigned data = mode == GUEST_REAL ? 0x93 : 0xc93;
    uint32_t limit = mode == GUEST_REAL ? 0xffff : 0xffffffff;

    memset(g->ram, 0, GUEST_RAM);
    memset(s, 0, sizeof *s);
    g->accesses = 0;
    g->tables = GUEST_TABLES;
    s->valid = CPU_ALL;
    s->rflags = RFLAGS_1;
    s->rip = GUEST_CODE;
    s->rsp = GUEST_STACK;
    set_segment(&s->cs, cpl ? 0x1b : mode == GUEST_LONG ? 0x28 : 0x08, code | dpl, limit);
    set_segment(&s->ss, cpl ? 0x23 : 0x10, data | dpl, limit);
    s->ds = s->es = s->fs = s->gs = s->ss;
    s->gdtr.base = GUEST_GDT;
    s->gdtr.limit = 0x3f;
    s->idtr.limit = 0x3ff;
    put_gdt(g);
    if (mode == GUEST_REAL) {
        s->cs.sel = GUEST_CODE >> 4;
        s->cs.base = GUEST_CODE;
        s->rip = 0;
        s->rsp = 0x8000;
        s->ss.sel = s->ds.sel = s->es.sel = 0;
    } else {
        s->cr0 = CR0_PE;
    }
    if (mode == GUEST_LONG)
        guest_paging(g, PAGING_64);
}

static uint64_t new_table(struct guest *g)
{
    uint64_t table = g->tables;

    g->tables += 0x1000;
    return table;
}

void guest_paging(struct guest *g, enum guest_paging paging)
{
    struct cpu_state *s = g->state;

    s->cr0 |= CR0_PE | CR0_PG | CR0_WP;
    s->cr3 = new_table(g);
    s->cr4 = paging == PAGING_32 ? CR4_PSE : CR4_PAE;
    s->efer = paging == PAGING_64    ? EFER_LME | EFER_LMA | EFER_NXE
              : paging == PAGING_PAE ? EFER_NXE
                                     : 0;
    for (uint64_t page = 0; page < 0x80000; page += 0x1000) // what tests use of RAM, one to one
        guest_map(g, page, page, 7, false);
}

static unsigned levels(const struct guest *g)
{
    return g->state->efer & EFER_LMA ? 4 : g->state->cr4 & CR4_PAE ? 3 : 2;
}

static uint64_t entry_at(const struct guest *g, uint64_t table, uint64_t linear, unsigned level)
{
    unsigned n = levels(g);

    if (n == 2)
        return table + (linear >> (12 + 10 * level) & 0x3ff) * 4;
    return table + (linear >> (12 + 9 * level) & (n == 3 && level == 2 ? 3 : 0x1ff)) * 8;
}

uint64_t guest_entry(struct guest *g, uint64_t linear, unsigned level)
{
    unsigned n = levels(g), size = n == 2 ? 4 : 8;
    uint64_t table = g->state->cr3, at;

    for (unsigned l = n - 1;; l--) {
        at = entry_at(g, table, linear, l);
        if (l == level)
            return at;
        if (!(guest_read(g, at, size) & 1))
            guest_write(g, at, size, new_table(g) | (n == 3 && l == 2 ? 1 : 7));
        table = guest_read(g, at, size) & 0xffffff000;
    }
}

void guest_map(struct guest *g, uint64_t linear, uint64_t gpa, uint64_t flags, bool large)
{
    guest_write(g, guest_entry(g, linear, large ? 1 : 0), levels(g) == 2 ? 4 : 8,
                gpa | flags | (large ? 0x80 : 0));
}

uint64_t guest_read(const struct guest *g, uint64_t gpa, unsigned size)
{
    uint64_t value = 0;

    memcpy(&value, g->ram + gpa, size);
    return value;
}

void guest_write(struct guest *g, uint64_t gpa, unsigned size, uint64_t value)
{
    memcpy(g->ram + gpa, &value, size);
}

enum interp_status guest_step(struct guest *g, const char *hex)
{
    unsigned n = 0;

    for (; *hex; hex++)
        if (*hex != ' ') {
            char byte[3] = {hex[0], hex[1], 0};

            g->ram[GUEST_CODE + n++] = (uint8_t)strtoul(byte, NULL, 16);
            hex++;
        }
    g->state->rip = GUEST_CODE - g->state->cs.base;
    g->accesses = 0;
    return cover(g, interp_step(&g->interp));
}

enum walk_status guest_walk(struct guest *g, uint64_t linear, uint32_t access,
                            struct walk_result *result)
{
    const struct cpu_state *s = g->state;
    struct walk w = {ram, g, s->cr0, s->cr3, s->cr4, s->efer, s->rflags, 40, 0};

    return walk(&w, linear, access, result);
}

bool guest_faulted(const struct guest *g, enum interp_status status, unsigned vector,
                   int code)
{
    if (status == INTERP_FAULT && g->interp.fault.vector == vector &&
        g->interp.fault.has_code == (code >= 0) &&
        (code < 0 || g->interp.fault.code == (uint32_t)code) &&
        g->state->rip == GUEST_CODE - g->state->cs.base)
        return true;
    tap_note("    status %u, vector %u, code %x (%u)", status, g->interp.fault.vector,
             g->interp.fault.code, g->interp.fault.has_code);
    return false;
}

bool guest_done(const struct guest *g, enum interp_status status)
{
    if (status == INTERP_DONE)
        return true;
    tap_note("    status %u, vector %u, code %x, at %lx", status, g->interp.fault.vector,
             g->interp.fault.code, g->state->rip);
    return false;
}
