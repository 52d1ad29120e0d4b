/* SPDX-License-Identifier: MIT */
/*
 * Handlers: segment registers and descriptors (SDM volume 3, 3.4, 5.4 to 5.11; volume 2, MOV, LAR,
 * LSL, VERR).
 */
#include "vmm/cpu/exec.h"

#include "vmm/cpu/atomic.h"
#include "vmm/cpu/segment.h"

/* Reads the entry of GDT or LDT that a selector names; false if it lies outside of the table. */
static enum interp_status read_descriptor(struct interp *c, uint16_t selector, struct descriptor *d,
                                          bool *there)
{
    const struct cpu_segment *table = selector & 4 ? &c->state->ldtr : &c->state->gdtr;
    uint32_t offset = selector & 0xfff8u;
    struct access a;

    exec_need(c, CPU_TABLES | CPU_TRLDTR);
    *there = (!(selector & 4) || (table->attr & CPU_SEG_P)) && offset + 7 <= table->limit;
    if (!*there)
        return INTERP_DONE;
    d->linear = table->base + offset;
    if (c->mode != 8 && !(c->state->efer & EFER_LMA))
        d->linear = (uint32_t)d->linear;
    TRY(exec_prepare(c, d->linear, 8, ACCESS_IMPLICIT, &a));
    d->raw = exec_load(c, &a);
    return INTERP_DONE;
}

enum interp_status segment_descriptor(struct interp *c, uint16_t selector, struct descriptor *d)
{
    bool there;

    TRY(read_descriptor(c, selector, d, &there));
    return there ? INTERP_DONE : exec_fault_code(c, EXCEPTION_GP, selector & 0xfffcu);
}

/* Sets the accessed bit in memory, as other processors may be doing too. */
enum interp_status segment_mark(struct interp *c, struct descriptor *d, uint64_t bits)
{
    struct access a;
    uint64_t before;

    if ((d->raw & bits) == bits)
        return INTERP_DONE;
    TRY(exec_prepare(c, d->linear, 8, ACCESS_IMPLICIT | ACCESS_WRITE, &a));
    if (exec_pointer(&a)) {
        before = d->raw;
        while (!atomic_cas_guest(exec_pointer(&a), 8, &before, before | bits))
            ;
    } else {
        exec_store(c, &a, d->raw | bits);
    }
    d->raw |= bits;
    return INTERP_DONE;
}

void segment_unpack(uint16_t selector, uint64_t raw, struct cpu_segment *s)
{
    s->sel = selector;
    s->attr = (uint16_t)((raw >> 40 & 0xff) | (raw >> 44 & 0xf00));
    s->base = (raw >> 16 & 0xffffff) | (raw >> 32 & 0xff000000);
    s->limit = (uint32_t)((raw & 0xffff) | (raw >> 32 & 0xf0000));
    if (s->attr & CPU_SEG_G)
        s->limit = s->limit << 12 | 0xfff;
}

static uint32_t group_of(unsigned segment)
{
    return segment == SEG_CS || segment == SEG_SS ? CPU_CSSS
           : segment < SEG_FS                     ? CPU_DSES
                                                  : CPU_FSGS;
}

/* Real and virtual-8086 mode: sixteen times the selector. */
void segment_load_real(struct interp *c, unsigned segment, uint16_t selector)
{
    struct cpu_segment *s = exec_segment(c, segment);

    exec_change(c, group_of(segment));
    s->sel = selector;
    s->base = (uint32_t)selector << 4;
    if (exec_virtual8086(c)) {
        s->limit = 0xffff;
        s->attr = 0xf3;
    }
}

/* A null selector; in SS the attributes keep the CPL. */
static enum interp_status load_null(struct interp *c, unsigned segment, uint16_t selector)
{
    if (segment == SEG_SS && (c->mode != 8 || c->cpl == 3 || (selector & 3) != c->cpl))
        return exec_gp0(c);
    exec_change(c, group_of(segment));
    *exec_segment(c, segment) = (struct cpu_segment){
        .sel = selector, .attr = segment == SEG_SS ? (uint16_t)(c->cpl << 5) : 0,
    };
    return INTERP_DONE;
}

static bool data_allowed(unsigned attr, unsigned cpl, unsigned rpl)
{
    unsigned dpl = attr >> 5 & 3;

    if ((attr & 0x18) == 0x10 || (attr & 0x1e) == 0x1a) // data, or readable non-conforming code
        return dpl >= cpl && dpl >= rpl;
    return (attr & 0x1e) == 0x1e; // readable conforming code
}

static bool stack_allowed(unsigned attr, unsigned cpl, unsigned rpl)
{
    return (attr & 0x1a) == 0x12 && rpl == cpl && (attr >> 5 & 3) == cpl;
}

enum interp_status exec_load_segment(struct interp *c, unsigned segment, uint16_t selector)
{
    struct descriptor d;
    unsigned attr, rpl = selector & 3;
    bool stack = segment == SEG_SS;

    if (!exec_protected(c)) {
        segment_load_real(c, segment, selector);
        return INTERP_DONE;
    }
    if ((selector & 0xfffc) == 0)
        return load_null(c, segment, selector);
    TRY(segment_descriptor(c, selector, &d));
    attr = (unsigned)(d.raw >> 40) & 0xff;
    if (stack ? !stack_allowed(attr, c->cpl, rpl) : !data_allowed(attr, c->cpl, rpl))
        return exec_fault_code(c, EXCEPTION_GP, selector & 0xfffcu);
    if (!(attr & CPU_SEG_P))
        return exec_fault_code(c, stack ? EXCEPTION_SS : EXCEPTION_NP, selector & 0xfffcu);
    TRY(segment_mark(c, &d, 1ull << 40));
    exec_change(c, group_of(segment));
    segment_unpack(selector, d.raw, exec_segment(c, segment));
    return INTERP_DONE;
}

enum interp_status exec_mov_from_seg(struct interp *c)
{
    uint16_t selector;

    if ((c->insn.reg & 7) > SEG_GS)
        return exec_fault(c, EXCEPTION_UD);
    selector = exec_segment(c, c->insn.reg & 7)->sel;
    if (c->insn.memory) // 16 bits whatever the operand size
        return exec_write(c, c->insn.segment, exec_address(c), 2, selector);
    return exec_set(c, 0, selector);
}

enum interp_status exec_mov_to_seg(struct interp *c)
{
    unsigned segment = c->insn.reg & 7;
    uint64_t selector;

    if (segment > SEG_GS || segment == SEG_CS)
        return exec_fault(c, EXCEPTION_UD);
    TRY(exec_get(c, 1, &selector));
    TRY(exec_load_segment(c, segment, (uint16_t)selector));
    c->shadow = segment == SEG_SS;
    return INTERP_DONE;
}

/* LES, LDS, LSS, LFS, LGS. */
enum interp_status exec_load_far(struct interp *c)
{
    static const uint8_t segments[8] = {
        [0xc4 & 7] = SEG_ES, [0xc5 & 7] = SEG_DS, [0xb2 & 7] = SEG_SS,
    };
    unsigned size = c->insn.opsize;
    uint64_t offset, selector, address = exec_address(c);
    unsigned segment = segments[c->insn.opcode & 7];

    if (c->insn.map == MAP_0F)
        segment = c->insn.opcode == 0xb2 ? SEG_SS : c->insn.opcode == 0xb4 ? SEG_FS : SEG_GS;
    TRY(exec_read(c, c->insn.segment, address, size, &offset));
    TRY(exec_read(c, c->insn.segment, (address + size) & alu_mask(c->insn.addrsize), 2, &selector));
    TRY(exec_load_segment(c, segment, (uint16_t)selector));
    exec_set_reg(c, c->insn.reg, size, offset);
    return INTERP_DONE;
}

static enum interp_status set_zf(struct interp *c, bool value)
{
    c->state->rflags = (c->state->rflags & ~RFLAGS_ZF) | (value ? RFLAGS_ZF : 0);
    return INTERP_DONE;
}

/* What LAR, LSL, VERR and VERW look at: ok is false where they only clear ZF. */
static enum interp_status inspect(struct interp *c, unsigned operand, struct descriptor *d,
                                  unsigned *attr, bool *ok)
{
    uint64_t value;
    uint16_t selector;

    if (!exec_protected(c))
        return exec_fault(c, EXCEPTION_UD);
    TRY(exec_get(c, operand, &value));
    selector = (uint16_t)value;
    *ok = selector & 0xfffc;
    if (!*ok)
        return INTERP_DONE;
    TRY(read_descriptor(c, selector, d, ok));
    if (!*ok)
        return INTERP_DONE;
    *attr = (unsigned)(d->raw >> 40) & 0xff;
    if ((*attr & 0x1c) != 0x1c) // all but conforming code
        *ok = (*attr >> 5 & 3) >= c->cpl && (*attr >> 5 & 3) >= (selector & 3u);
    return INTERP_DONE;
}

enum interp_status exec_lar(struct interp *c)
{
    struct descriptor d;
    unsigned attr = 0,
             types = c->state->efer & EFER_LMA ? 0x1a04 : 0x1a3e; // system types with access rights
    bool ok;

    TRY(inspect(c, 1, &d, &attr, &ok));
    ok = ok && ((attr & CPU_SEG_S) || types >> (attr & 15) & 1);
    if (ok)
        exec_set_reg(c, c->insn.reg, c->insn.opsize, d.raw >> 32 & 0x00ffff00);
    return set_zf(c, ok);
}

enum interp_status exec_lsl(struct interp *c)
{
    struct descriptor d;
    unsigned attr = 0, types = c->state->efer & EFER_LMA ? 0x0a04 : 0x0a0e;
    struct cpu_segment s;
    bool ok;

    TRY(inspect(c, 1, &d, &attr, &ok));
    ok = ok && ((attr & CPU_SEG_S) || types >> (attr & 15) & 1);
    if (ok) {
        segment_unpack(0, d.raw, &s);
        exec_set_reg(c, c->insn.reg, c->insn.opsize, s.limit);
    }
    return set_zf(c, ok);
}

enum interp_status exec_verr(struct interp *c)
{
    struct descriptor d;
    unsigned attr = 0;
    bool ok;

    TRY(inspect(c, 0, &d, &attr, &ok));
    return set_zf(c, ok && (attr & CPU_SEG_S) && ((attr & 8) == 0 || (attr & 2)));
}

enum interp_status exec_verw(struct interp *c)
{
    struct descriptor d;
    unsigned attr = 0;
    bool ok;

    TRY(inspect(c, 0, &d, &attr, &ok));
    return set_zf(c, ok && (attr & 0x1a) == 0x12);
}

/* Only a change is a write, to its page and to its segment; processors do so (SDM volume 2 has it otherwise for segments). */
enum interp_status exec_arpl(struct interp *c)
{
    uint64_t to, from;

    if (!exec_protected(c))
        return exec_fault(c, EXCEPTION_UD);
    TRY(exec_get(c, 0, &to));
    TRY(exec_get(c, 1, &from));
    if ((to & 3) < (from & 3))
        TRY(exec_set(c, 0, (to & ~3ull) | (from & 3)));
    return set_zf(c, (to & 3) < (from & 3));
}

/* LLDT and LTR: a system descriptor, 16 bytes long in long mode. */
static enum interp_status load_system(struct interp *c, bool task)
{
    struct cpu_segment *s = task ? &c->state->tr : &c->state->ldtr;
    bool wide = c->state->efer & EFER_LMA;
    uint64_t value, high = 0;
    struct descriptor d;
    struct access a;
    unsigned type;
    uint16_t selector;

    if (!exec_protected(c))
        return exec_fault(c, EXCEPTION_UD);
    if (c->cpl)
        return exec_gp0(c);
    TRY(exec_get(c, 0, &value));
    selector = (uint16_t)value;
    exec_change(c, CPU_TRLDTR);
    if ((selector & 0xfffc) == 0 && !task) {
        *s = (struct cpu_segment){.sel = selector};
        return INTERP_DONE;
    }
    if ((selector & 0xfffc) == 0)
        return exec_gp0(c);
    if (selector & 4)
        return exec_fault_code(c, EXCEPTION_GP, selector & 0xfffcu);
    TRY(segment_descriptor(c, selector, &d));
    type = (unsigned)(d.raw >> 40) & 0x1f;
    if (task ? type != 9 && (wide || type != 1) : type != 2)
        return exec_fault_code(c, EXCEPTION_GP, selector & 0xfffcu);
    if (!(d.raw >> 47 & 1))
        return exec_fault_code(c, EXCEPTION_NP, selector & 0xfffcu);
    if (wide) {
        TRY(exec_prepare(c, d.linear + 8, 8, ACCESS_IMPLICIT, &a));
        high = exec_load(c, &a);
        if (high >> 40 & 0x1f)
            return exec_fault_code(c, EXCEPTION_GP, selector & 0xfffcu);
        if ((int32_t)high >> 15 != 0 && (int32_t)high >> 15 != -1) // not canonical
            return exec_fault_code(c, EXCEPTION_GP, selector & 0xfffcu);
    }
    if (task)
        TRY(segment_mark(c, &d, 2ull << 40)); // busy
    segment_unpack(selector, d.raw, s);
    s->base |= high << 32;
    return INTERP_DONE;
}

enum interp_status exec_lldt(struct interp *c) { return load_system(c, false); }
enum interp_status exec_ltr(struct interp *c)  { return load_system(c, true); }
