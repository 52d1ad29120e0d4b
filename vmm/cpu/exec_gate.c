/* SPDX-License-Identifier: MIT */
/*
 * Call gates of 16, 32 and 64 bits, and the stacks of inner levels (SDM volume 3, 5.8.3 to 5.8.5;
 * volume 2, CALL). Task gates and TSS descriptors lead to exec_task.c.
 */
#include "vmm/cpu/gate.h"
#include "vmm/cpu/task.h"

#define TYPE_CALL_16   4u
#define TYPE_TASK      5u
#define TYPE_CALL      0xcu // 32 bits, or 64 in long mode
#define TYPES_OF_TASKS (1u << 1 | 1u << 3 | 1u << TYPE_TASK | 1u << 9 | 1u << 11)

struct call_gate {
    uint64_t offset;
    uint16_t selector;
    unsigned size;       // of what is pushed: 2, 4, 8
    unsigned parameters; // copied to an inner stack
};

static bool long_mode(const struct interp *c)
{
    return c->state->efer & EFER_LMA;
}

struct gate_saved gate_save(const struct interp *c)
{
    return (struct gate_saved){c->state->ss, c->state->gpr[CPU_RSP], c->mode, c->cpl};
}

void gate_restore(struct interp *c, const struct gate_saved *saved)
{
    c->state->ss = saved->ss;
    c->state->gpr[CPU_RSP] = saved->rsp;
    c->mode = saved->mode;
    c->cpl = saved->cpl;
}

/* Reads 2, 4 or 8 bytes of a table of the processor's own. */
static enum interp_status read_implicit(struct interp *c, uint64_t linear, unsigned size,
                                        uint64_t *value)
{
    struct access a;

    TRY(exec_prepare(c, long_mode(c) ? linear : (uint32_t)linear, size, ACCESS_IMPLICIT, &a));
    *value = exec_load(c, &a);
    return INTERP_DONE;
}

/* A stack pointer of the TSS (SDM volume 3, 7.2.1, 7.6 and 7.7). */
static enum interp_status read_task_stack(struct interp *c, unsigned cpl, unsigned ist,
                                          uint64_t *sp, uint64_t *ss)
{
    const struct cpu_segment *tr = &c->state->tr;
    unsigned width, at;

    exec_need(c, CPU_TRLDTR);
    width = long_mode(c) ? 8 : tr->attr & 8 ? 4 : 2;
    at = width == 8 ? (ist ? 36 + 8 * ist - 8 : 4 + 8 * cpl) : width + 2 * width * cpl;
    if (at + (width == 8 ? 8 : width + 2) - 1 > tr->limit)
        return exec_fault_code(c, EXCEPTION_TS, tr->sel & 0xfffcu);
    TRY(read_implicit(c, tr->base + at, width, sp));
    if (width != 8)
        TRY(read_implicit(c, tr->base + at + width, 2, ss));
    return INTERP_DONE;
}

/* The stack segment that a TSS names: its errors are the task's. */
static enum interp_status load_task_stack(struct interp *c, uint16_t selector, unsigned cpl,
                                          struct cpu_segment *s)
{
    uint32_t code = selector & 0xfffcu;
    struct descriptor d;
    enum interp_status status;

    if (code == 0)
        return exec_fault_code(c, EXCEPTION_TS, 0);
    status = segment_descriptor(c, selector, &d);
    if (status == INTERP_FAULT && c->fault.vector == EXCEPTION_GP)
        return exec_fault_code(c, EXCEPTION_TS, code); // outside of its table
    TRY(status);
    segment_unpack(selector, d.raw, s);
    if ((s->attr & 0x1a) != 0x12 || (s->attr >> 5 & 3u) != cpl || (selector & 3) != cpl)
        return exec_fault_code(c, EXCEPTION_TS, code);
    if (!(s->attr & CPU_SEG_P))
        return exec_fault_code(c, EXCEPTION_SS, code);
    TRY(segment_mark(c, &d, 1ull << 40));
    s->attr |= 1;
    return INTERP_DONE;
}

enum interp_status gate_enter_stack(struct interp *c, unsigned cpl, unsigned ist)
{
    uint64_t sp = 0, selector = cpl;
    struct cpu_segment s = {.sel = (uint16_t)cpl, .attr = (uint16_t)(cpl << 5)};

    TRY(read_task_stack(c, cpl, ist, &sp, &selector));
    if (!long_mode(c))
        TRY(load_task_stack(c, (uint16_t)selector, cpl, &s));
    if (cpl != c->cpl || !long_mode(c))
        c->state->ss = s;
    c->cpl = (uint8_t)cpl;
    c->state->gpr[CPU_RSP] = sp;
    return INTERP_DONE;
}

static enum interp_status read_gate(struct interp *c, uint16_t selector,
                                    const struct descriptor *d, struct call_gate *g)
{
    uint32_t code = selector & 0xfffcu;
    unsigned type = d->raw >> 40 & 0xf, dpl = d->raw >> 45 & 3;
    uint64_t high = 0;

    if (type != TYPE_CALL && (type != TYPE_CALL_16 || long_mode(c)))
        return exec_fault_code(c, EXCEPTION_GP, code);
    if (dpl < c->cpl || dpl < (selector & 3u))
        return exec_fault_code(c, EXCEPTION_GP, code);
    if (!(d->raw >> 47 & 1))
        return exec_fault_code(c, EXCEPTION_NP, code);
    if (long_mode(c)) {
        TRY(read_implicit(c, d->linear + 8, 8, &high));
        if (high >> 40 & 0x1f)
            return exec_fault_code(c, EXCEPTION_GP, code);
    }
    *g = (struct call_gate){
        .offset = (d->raw & 0xffff) | (d->raw >> 32 & 0xffff0000) | high << 32,
        .selector = (uint16_t)(d->raw >> 16),
        .size = long_mode(c) ? 8 : type == TYPE_CALL ? 4 : 2,
        .parameters = long_mode(c) ? 0 : (unsigned)(d->raw >> 32) & 0x1f,
    };
    if (g->size == 2)
        g->offset &= 0xffff; // the upper word of a 16-bit gate is reserved, whatever it holds
    return INTERP_DONE;
}

/* The gate's code segment; *cpl becomes the level that it runs at. */
static enum interp_status load_code(struct interp *c, const struct call_gate *g, bool call,
                                    struct cpu_segment *s, struct descriptor *d, unsigned *cpl)
{
    uint32_t code = g->selector & 0xfffcu;
    unsigned dpl;
    bool conforming;

    if (code == 0)
        return exec_gp0(c);
    TRY(segment_descriptor(c, g->selector, d));
    segment_unpack(g->selector, d->raw, s);
    dpl = s->attr >> 5 & 3;
    conforming = s->attr & 4;
    if ((s->attr & 0x18) != 0x18 || dpl > c->cpl || (!call && !conforming && dpl != c->cpl))
        return exec_fault_code(c, EXCEPTION_GP, code);
    if (long_mode(c) && (!(s->attr & CPU_SEG_L) || (s->attr & CPU_SEG_DB)))
        return exec_fault_code(c, EXCEPTION_GP, code);
    if (!(s->attr & CPU_SEG_P))
        return exec_fault_code(c, EXCEPTION_NP, code);
    *cpl = conforming ? c->cpl : dpl;
    s->attr |= 1;
    s->sel = (uint16_t)(code | *cpl);
    return INTERP_DONE;
}

/* The parameters on the caller's stack, the last one first, into values[]. */
static enum interp_status read_parameters(struct interp *c, const struct call_gate *g,
                                          uint64_t *values)
{
    uint64_t sp = c->state->gpr[CPU_RSP];

    for (unsigned i = 0; i < g->parameters; i++)
        TRY(exec_read(c, SEG_SS, (sp + i * g->size) & exec_stack_mask(c), g->size, &values[i]));
    return INTERP_DONE;
}

static enum interp_status push_frame(struct interp *c, const struct call_gate *g, unsigned cpl)
{
    uint64_t ss = c->state->ss.sel, rsp = c->state->gpr[CPU_RSP], values[31];

    if (cpl != c->cpl) {
        TRY(read_parameters(c, g, values));
        TRY(gate_enter_stack(c, cpl, 0));
        if (long_mode(c))
            c->mode = 8;
        TRY(exec_stack_push(c, g->size, ss));
        TRY(exec_stack_push(c, g->size, rsp));
        for (unsigned i = g->parameters; i > 0; i--)
            TRY(exec_stack_push(c, g->size, values[i - 1]));
    } else if (long_mode(c)) {
        c->mode = 8;
    }
    TRY(exec_stack_push(c, g->size, c->state->cs.sel));
    return exec_stack_push(c, g->size, c->next_rip);
}

static enum interp_status to_task(struct interp *c, uint16_t selector, const struct descriptor *d,
                                  bool call)
{
    unsigned dpl = d->raw >> 45 & 3;

    if ((d->raw >> 40 & 0xf) != TYPE_TASK)
        return task_transfer(c, selector, d, call);
    if (dpl < c->cpl || dpl < (selector & 3u))
        return exec_fault_code(c, EXCEPTION_GP, selector & 0xfffcu);
    if (!(d->raw >> 47 & 1))
        return exec_fault_code(c, EXCEPTION_NP, selector & 0xfffcu);
    return task_gate(c, (uint16_t)(d->raw >> 16), call ? TASK_CALL : TASK_JMP);
}

enum interp_status gate_transfer(struct interp *c, uint16_t selector, const struct descriptor *d,
                                 bool call)
{
    struct gate_saved saved;
    struct cpu_segment code;
    struct call_gate g = {0};
    struct descriptor target;
    enum interp_status status = INTERP_DONE;
    unsigned cpl = 0;

    if (!long_mode(c) && (TYPES_OF_TASKS >> (d->raw >> 40 & 0xf) & 1))
        return to_task(c, selector, d, call);
    TRY(read_gate(c, selector, d, &g));
    TRY(load_code(c, &g, call, &code, &target, &cpl));
    if (!(code.attr & CPU_SEG_L) && g.offset > code.limit)
        return exec_gp0(c);
    if ((code.attr & CPU_SEG_L) && (uint64_t)((int64_t)(g.offset << 16) >> 16) != g.offset)
        return exec_gp0(c);
    exec_change(c, CPU_CSSS);
    saved = gate_save(c);
    if (call)
        status = push_frame(c, &g, cpl);
    if (status == INTERP_DONE)
        status = segment_mark(c, &target, 1ull << 40); // once nothing else is refused
    if (status != INTERP_DONE) {
        gate_restore(c, &saved);
        return status;
    }
    c->state->cs = code;
    c->next_rip = g.offset;
    return INTERP_DONE;
}
