/* SPDX-License-Identifier: MIT */
/*
 * Hardware task switches by TSS of 16 and 32 bits (SDM volume 3, 8.2 and 8.3). Where the manual leaves the order of
 * checks to the processor, it is LDT, SS, DS, ES, FS, GS, CS, as in Bochs.
 */
#include "vmm/cpu/task.h"

#include "lib/bytes.h"

#define TSS_16_LIMIT 0x2bu
#define TSS_32_LIMIT 0x67u
#define TSS_SIZE     0x68u
#define PART         52u // of a TSS: an access has up to 64 bytes

#define DR7_LOCAL 0x155u // LE and L0 to L3: they end with the task
#define DR6_BT    0x8000u

static const uint8_t order_gpr[8] = {CPU_RAX, CPU_RCX, CPU_RDX, CPU_RBX, CPU_RSP, CPU_RBP, CPU_RSI, CPU_RDI};
static const uint8_t order_segment[6] = {SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS};

/* A TSS in memory, all of it translated. */
struct place {
    struct access part[2];
};

/* What a TSS says of a task. */
struct task {
    uint32_t cr3, eip, eflags, gpr[8];
    uint16_t segment[6], ldt; // in the order of order_segment
    bool trap;
};

static void put16(uint8_t *p, uint16_t v)
{
    bytes_copy(p, &v, 2);
}

static void put32(uint8_t *p, uint32_t v)
{
    bytes_copy(p, &v, 4);
}

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t get32(const uint8_t *p)
{
    return get16(p) | (uint32_t)get16(p + 2) << 16;
}

static uint32_t code_of(uint16_t selector)
{
    return selector & 0xfffcu;
}

static enum interp_status bad_task(struct interp *c, uint16_t selector)
{
    return exec_fault_code(c, EXCEPTION_TS, code_of(selector));
}

static unsigned tss_limit(const struct cpu_segment *tss)
{
    return tss->attr & 8 ? TSS_32_LIMIT : TSS_16_LIMIT;
}

static enum interp_status locate(struct interp *c, const struct cpu_segment *tss, uint32_t flags,
                                 struct place *place)
{
    unsigned size = tss_limit(tss) + 1, first = size < PART ? size : PART;

    place->part[1].size = 0;
    TRY(exec_prepare(c, (uint32_t)tss->base, first, ACCESS_IMPLICIT | flags, &place->part[0]));
    if (size > first)
        TRY(exec_prepare(c, (uint32_t)(tss->base + PART), size - first, ACCESS_IMPLICIT | flags,
                         &place->part[1]));
    return INTERP_DONE;
}

static void read_tss(struct interp *c, const struct place *place, uint8_t *bytes)
{
    exec_load_bytes(c, &place->part[0], bytes);
    if (place->part[1].size)
        exec_load_bytes(c, &place->part[1], bytes + PART);
}

static void write_tss(struct interp *c, const struct place *place, const uint8_t *bytes)
{
    exec_store_bytes(c, &place->part[0], bytes);
    if (place->part[1].size)
        exec_store_bytes(c, &place->part[1], bytes + PART);
}

/* The fields that a switch saves: from EIP to GS, or from IP to DS. */
static void save_task(struct interp *c, uint64_t eflags, bool wide, uint8_t *t)
{
    const struct cpu_state *s = c->state;

    if (wide) {
        put32(t + 0x20, (uint32_t)c->next_rip);
        put32(t + 0x24, (uint32_t)eflags);
    } else {
        put16(t + 0x0e, (uint16_t)c->next_rip);
        put16(t + 0x10, (uint16_t)eflags);
    }
    for (unsigned i = 0; i < 8; i++)
        if (wide)
            put32(t + 0x28 + 4 * i, (uint32_t)s->gpr[order_gpr[i]]);
        else
            put16(t + 0x12 + 2 * i, (uint16_t)s->gpr[order_gpr[i]]);
    for (unsigned i = 0; i < (wide ? 6u : 4u); i++)
        put16(t + (wide ? 0x48 + 4 * i : 0x22 + 2 * i), exec_segment(c, order_segment[i])->sel);
}

static struct task unpack_task(const uint8_t *t, bool wide)
{
    struct task n = {0};

    if (wide) {
        n.cr3 = get32(t + 0x1c);
        n.eip = get32(t + 0x20);
        n.eflags = get32(t + 0x24);
        n.ldt = get16(t + 0x60);
        n.trap = t[0x64] & 1;
    } else {
        n.eip = get16(t + 0x0e);
        n.eflags = get16(t + 0x10);
        n.ldt = get16(t + 0x2a);
    }
    for (unsigned i = 0; i < 8; i++)
        n.gpr[i] = wide ? get32(t + 0x28 + 4 * i) : 0xffff0000u | get16(t + 0x12 + 2 * i);
    for (unsigned i = 0; i < (wide ? 6u : 4u); i++)
        n.segment[i] = get16(t + (wide ? 0x48 + 4 * i : 0x22 + 2 * i));
    return n;
}

/* The byte of a descriptor with its type, for the busy bit. */
static enum interp_status locate_type(struct interp *c, uint16_t selector, struct access *a)
{
    uint64_t at = c->state->gdtr.base + (selector & 0xfff8u) + 5;

    return exec_prepare(c, (uint32_t)at, 1, ACCESS_IMPLICIT | ACCESS_WRITE, a);
}

/* A descriptor that the new task names; any fault of the table is the task's. */
static enum interp_status task_descriptor(struct interp *c, uint16_t selector, struct descriptor *d,
                                          struct cpu_segment *s)
{
    enum interp_status status = segment_descriptor(c, selector, d);

    if (status == INTERP_FAULT && c->fault.vector == EXCEPTION_GP)
        return bad_task(c, selector);
    TRY(status);
    segment_unpack(selector, d->raw, s);
    return INTERP_DONE;
}

static enum interp_status load_ldt(struct interp *c, uint16_t selector)
{
    struct cpu_segment s;
    struct descriptor d;

    c->state->ldtr = (struct cpu_segment){.sel = selector};
    if (code_of(selector) == 0)
        return INTERP_DONE;
    if (selector & 4)
        return bad_task(c, selector);
    TRY(task_descriptor(c, selector, &d, &s));
    if ((s.attr & 0x1f) != 2 || !(s.attr & CPU_SEG_P))
        return bad_task(c, selector);
    c->state->ldtr = s;
    return INTERP_DONE;
}

static enum interp_status accept(struct interp *c, unsigned segment, const struct descriptor *d,
                                 struct cpu_segment *s)
{
    struct descriptor marked = *d;

    TRY(segment_mark(c, &marked, 1ull << 40));
    s->attr |= 1;
    *exec_segment(c, segment) = *s;
    return INTERP_DONE;
}

static enum interp_status load_ss(struct interp *c, uint16_t selector, unsigned cpl)
{
    struct cpu_segment s;
    struct descriptor d;

    if (code_of(selector) == 0)
        return bad_task(c, selector);
    TRY(task_descriptor(c, selector, &d, &s));
    if ((s.attr & 0x1a) != 0x12 || (s.attr >> 5 & 3u) != cpl || (selector & 3u) != cpl)
        return bad_task(c, selector);
    if (!(s.attr & CPU_SEG_P))
        return exec_fault_code(c, EXCEPTION_SS, code_of(selector));
    return accept(c, SEG_SS, &d, &s);
}

static enum interp_status load_cs(struct interp *c, uint16_t selector)
{
    unsigned rpl = selector & 3, dpl;
    struct cpu_segment s;
    struct descriptor d;

    if (code_of(selector) == 0)
        return bad_task(c, selector);
    TRY(task_descriptor(c, selector, &d, &s));
    dpl = s.attr >> 5 & 3;
    if ((s.attr & 0x18) != 0x18 || (s.attr & 4 ? dpl > rpl : dpl != rpl))
        return bad_task(c, selector);
    if (!(s.attr & CPU_SEG_P))
        return exec_fault_code(c, EXCEPTION_NP, code_of(selector));
    return accept(c, SEG_CS, &d, &s);
}

static enum interp_status load_data(struct interp *c, unsigned segment, uint16_t selector,
                                    unsigned cpl)
{
    struct cpu_segment s;
    struct descriptor d;
    unsigned dpl;

    if (code_of(selector) == 0)
        return INTERP_DONE;
    TRY(task_descriptor(c, selector, &d, &s));
    dpl = s.attr >> 5 & 3;
    if (!(s.attr & CPU_SEG_S) || (s.attr & 0xa) == 8)
        return bad_task(c, selector);
    if ((s.attr & 0xc) != 0xc && (dpl < cpl || dpl < (selector & 3u)))
        return bad_task(c, selector);
    if (!(s.attr & CPU_SEG_P))
        return exec_fault_code(c, EXCEPTION_NP, code_of(selector));
    return accept(c, segment, &d, &s);
}

static enum interp_status load_segments(struct interp *c, const struct task *n)
{
    unsigned cpl = n->segment[1] & 3;

    TRY(load_ldt(c, n->ldt));
    if (n->eflags & RFLAGS_VM) {
        for (unsigned i = 0; i < 6; i++)
            segment_load_real(c, order_segment[i], n->segment[i]);
        return INTERP_DONE;
    }
    TRY(load_ss(c, n->segment[2], cpl));
    TRY(load_data(c, SEG_DS, n->segment[3], cpl));
    TRY(load_data(c, SEG_ES, n->segment[0], cpl));
    TRY(load_data(c, SEG_FS, n->segment[4], cpl));
    TRY(load_data(c, SEG_GS, n->segment[5], cpl));
    return load_cs(c, n->segment[1]);
}

/* Registers of the new task, segments as selectors that no descriptor stands behind yet. */
static void enter(struct interp *c, const struct cpu_segment *tss, const struct task *n, bool wide)
{
    const uint64_t fixed = 0x3f7fd5; // the bits that there are
    struct cpu_state *s = c->state;

    exec_change(c, CPU_CSSS | CPU_DSES | CPU_FSGS | CPU_TRLDTR | CPU_CR | CPU_DR);
    if (wide && (s->cr0 & CR0_PG))
        s->cr3 = n->cr3;
    s->cr0 |= CR0_TS;
    s->tr = *tss;
    s->tr.attr |= 2;
    s->dr7 &= ~(uint64_t)DR7_LOCAL;
    s->rflags = (n->eflags & fixed) | RFLAGS_1;
    for (unsigned i = 0; i < 8; i++)
        s->gpr[order_gpr[i]] = n->gpr[i];
    for (unsigned i = 0; i < 6; i++)
        *exec_segment(c, order_segment[i]) = (struct cpu_segment){.sel = n->segment[i]};
    s->ss.attr = 3u << 5; // until it is loaded: a fault gets the new task's inner stack
    s->cs.limit = 0xffffffffu;
    s->rip = c->next_rip = n->eip;
    s->rsp = s->gpr[CPU_RSP];
    s->shadow = 0;
    interp_begin(c);
    c->switched = true;
}

static enum interp_status finish_switch(struct interp *c, const struct task *n)
{
    enum interp_status status = load_segments(c, n);

    interp_begin(c);
    c->switched = true;
    TRY(status);
    if (n->eip > c->state->cs.limit)
        return exec_gp0(c);
    if (!n->trap)
        return INTERP_DONE;
    c->state->dr6 |= DR6_BT;
    c->task_trap = true;
    return INTERP_DONE;
}

static enum interp_status task_switch(struct interp *c, const struct cpu_segment *tss,
                                      enum task_source source)
{
    bool wide = tss->attr & 8, was_wide;
    struct cpu_segment *tr = &c->state->tr;
    uint8_t bytes[TSS_SIZE] = {0};
    struct access old_type, new_type;
    struct place from, to;
    struct task n;
    uint64_t eflags = c->state->rflags;

    if (tss->limit < tss_limit(tss))
        return bad_task(c, tss->sel);
    if (tr->limit < tss_limit(tr))
        return bad_task(c, tr->sel);
    was_wide = tr->attr & 8;
    TRY(locate(c, tr, ACCESS_WRITE, &from));
    TRY(locate(c, tss, source == TASK_CALL ? ACCESS_WRITE : 0, &to));
    TRY(locate_type(c, tr->sel, &old_type));
    TRY(locate_type(c, tss->sel, &new_type));
    if (source != TASK_CALL)
        exec_store(c, &old_type, exec_load(c, &old_type) & ~2ull);
    if (source == TASK_IRET)
        eflags &= ~RFLAGS_NT;
    read_tss(c, &from, bytes);
    save_task(c, eflags, was_wide, bytes);
    write_tss(c, &from, bytes);
    read_tss(c, &to, bytes);
    if (source == TASK_CALL) {
        put16(bytes, tr->sel);
        write_tss(c, &to, bytes);
    }
    n = unpack_task(bytes, wide);
    if (source == TASK_CALL)
        n.eflags |= RFLAGS_NT;
    if (source != TASK_IRET)
        exec_store(c, &new_type, exec_load(c, &new_type) | 2);
    enter(c, tss, &n, wide);
    if (source == TASK_IRET)
        c->state->nmi_blocked = 0;
    return finish_switch(c, &n);
}

/* TSS of types 1 and 9, or busy 3 and 11. */
static bool is_tss(const struct cpu_segment *s, bool busy)
{
    return (s->attr & 0x17) == (busy ? 3 : 1);
}

enum interp_status task_gate(struct interp *c, uint16_t selector, enum task_source source)
{
    struct cpu_segment tss;
    struct descriptor d;

    if (code_of(selector) == 0 || (selector & 4))
        return exec_fault_code(c, EXCEPTION_GP, code_of(selector));
    TRY(segment_descriptor(c, selector, &d));
    segment_unpack(selector, d.raw, &tss);
    if (!is_tss(&tss, false))
        return exec_fault_code(c, EXCEPTION_GP, code_of(selector));
    if (!(tss.attr & CPU_SEG_P))
        return exec_fault_code(c, EXCEPTION_NP, code_of(selector));
    return task_switch(c, &tss, source);
}

enum interp_status task_transfer(struct interp *c, uint16_t selector, const struct descriptor *d,
                                 bool call)
{
    struct cpu_segment tss;
    unsigned dpl;

    segment_unpack(selector, d->raw, &tss);
    dpl = tss.attr >> 5 & 3;
    if (dpl < c->cpl || dpl < (selector & 3u) || !is_tss(&tss, false) || (selector & 4))
        return exec_fault_code(c, EXCEPTION_GP, code_of(selector));
    if (!(tss.attr & CPU_SEG_P))
        return exec_fault_code(c, EXCEPTION_NP, code_of(selector));
    return task_switch(c, &tss, call ? TASK_CALL : TASK_JMP);
}

enum interp_status task_return(struct interp *c)
{
    struct cpu_segment tss;
    struct descriptor d;
    struct access a;
    uint16_t link;

    exec_need(c, CPU_TRLDTR | CPU_TABLES);
    TRY(exec_prepare(c, (uint32_t)c->state->tr.base, 2, ACCESS_IMPLICIT, &a));
    link = (uint16_t)exec_load(c, &a);
    if (link & 4 || code_of(link) == 0)
        return bad_task(c, link);
    TRY(task_descriptor(c, link, &d, &tss));
    if (!is_tss(&tss, true))
        return bad_task(c, link);
    if (!(tss.attr & CPU_SEG_P))
        return exec_fault_code(c, EXCEPTION_NP, code_of(link));
    return task_switch(c, &tss, TASK_IRET);
}

enum interp_status task_push_code(struct interp *c, uint32_t code)
{
    TRY(exec_stack_push(c, c->state->tr.attr & 8 ? 4 : 2, code));
    c->state->rsp = c->state->gpr[CPU_RSP];
    return INTERP_DONE;
}
