/* SPDX-License-Identifier: MIT */
/*
 * Handlers: far transfers (SDM volume 3, 5.8; volume 2, JMP, CALL, RET, IRET). Gates are in
 * exec_gate.c.
 */
#include "vmm/cpu/exec.h"

#include "vmm/cpu/gate.h"
#include "vmm/cpu/task.h"

#define ACCESSED (1ull << 40)

static enum interp_status bad_selector(struct interp *c, enum exception vector, uint16_t selector)
{
    return exec_fault_code(c, vector, selector & 0xfffcu);
}

/*
 * Checks a code segment for a transfer that ends at privilege `cpl`; returning ones give the level
 * by RPL, so that RPL has to be equal there. Unpacks it to *s; nothing changes, its accessed bit is
 * for the caller to set once nothing else is refused.
 */
static enum interp_status check_code(struct interp *c, uint16_t selector, unsigned cpl,
                                     bool returning, struct cpu_segment *s, struct descriptor *d)
{
    unsigned dpl, rpl = selector & 3;

    if ((selector & 0xfffc) == 0)
        return exec_gp0(c);
    TRY(segment_descriptor(c, selector, d));
    segment_unpack(selector, d->raw, s);
    dpl = s->attr >> 5 & 3;
    if (!(s->attr & CPU_SEG_S) || !(s->attr & 8) || (s->attr & 4 ? dpl > cpl : dpl != cpl || (!returning && rpl > cpl)))
        return bad_selector(c, EXCEPTION_GP, selector);
    if ((c->state->efer & EFER_LMA) && (s->attr & CPU_SEG_L) && (s->attr & CPU_SEG_DB))
        return bad_selector(c, EXCEPTION_GP, selector);
    if (!(s->attr & CPU_SEG_P))
        return bad_selector(c, EXCEPTION_NP, selector);
    s->attr |= 1;
    s->sel = (uint16_t)((selector & ~3u) | cpl);
    return INTERP_DONE;
}

static enum interp_status check_offset(struct interp *c, const struct cpu_segment *s,
                                       uint64_t offset)
{
    if ((c->state->efer & EFER_LMA) && (s->attr & CPU_SEG_L))
        return (uint64_t)((int64_t)(offset << 16) >> 16) == offset ? INTERP_DONE : exec_gp0(c);
    return (uint32_t)offset <= s->limit ? INTERP_DONE : exec_gp0(c);
}

static void set_code(struct interp *c, const struct cpu_segment *s, uint64_t offset)
{
    exec_change(c, CPU_CSSS);
    c->state->cs = *s;
    c->next_rip = (c->state->efer & EFER_LMA) && (s->attr & CPU_SEG_L) ? offset : (uint32_t)offset;
}

/* JMP and CALL, to the same privilege. */
static enum interp_status transfer(struct interp *c, uint16_t selector, uint64_t offset, bool call)
{
    struct cpu_segment s = c->state->cs;
    struct descriptor code;
    uint16_t back = s.sel;
    uint64_t rip = c->next_rip;

    offset &= alu_mask(c->insn.opsize);
    if (exec_protected(c)) {
        if (selector & 0xfffc) {
            struct descriptor d;

            TRY(segment_descriptor(c, selector, &d));
            if (!(d.raw >> 40 & CPU_SEG_S))
                return gate_transfer(c, selector, &d, call);
        }
        TRY(check_code(c, selector, c->cpl, false, &s, &code));
        TRY(check_offset(c, &s, offset));
        TRY(segment_mark(c, &code, ACCESSED));
    } else {
        s.sel = selector;
        s.base = (uint32_t)selector << 4;
        TRY(check_offset(c, &s, offset));
    }
    if (call) {
        TRY(exec_stack_push(c, c->insn.opsize, back));
        TRY(exec_stack_push(c, c->insn.opsize, rip));
    }
    set_code(c, &s, offset);
    return INTERP_DONE;
}

enum interp_status exec_jmp_far(struct interp *c)
{
    return transfer(c, (uint16_t)c->insn.imm2, c->insn.imm, false);
}

enum interp_status exec_call_far(struct interp *c)
{
    return transfer(c, (uint16_t)c->insn.imm2, c->insn.imm, true);
}

static enum interp_status transfer_memory(struct interp *c, bool call)
{
    unsigned size = c->insn.opsize;
    uint64_t offset, selector, address = exec_address(c);

    TRY(exec_read(c, c->insn.segment, address, size, &offset));
    TRY(exec_read(c, c->insn.segment, (address + size) & alu_mask(c->insn.addrsize), 2, &selector));
    return transfer(c, (uint16_t)selector, offset, call);
}

enum interp_status exec_jmp_mem_far(struct interp *c)  { return transfer_memory(c, false); }
enum interp_status exec_call_mem_far(struct interp *c) { return transfer_memory(c, true); }

/* The stack segment of a return to an outer level. */
static enum interp_status check_stack(struct interp *c, uint16_t selector, unsigned cpl,
                                      const struct cpu_segment *code, struct cpu_segment *s,
                                      struct descriptor *d)
{
    if ((selector & 0xfffc) == 0) {
        if (!(c->state->efer & EFER_LMA) || !(code->attr & CPU_SEG_L) || cpl == 3 ||
            (selector & 3) != cpl)
            return exec_gp0(c);
        *s = (struct cpu_segment){.sel = selector, .attr = (uint16_t)(cpl << 5)};
        return INTERP_DONE;
    }
    TRY(segment_descriptor(c, selector, d));
    segment_unpack(selector, d->raw, s);
    if ((s->attr & 0x1a) != 0x12 || (selector & 3) != cpl || (s->attr >> 5 & 3u) != cpl)
        return bad_selector(c, EXCEPTION_GP, selector);
    if (!(s->attr & CPU_SEG_P))
        return bad_selector(c, EXCEPTION_SS, selector);
    s->attr |= 1;
    return INTERP_DONE;
}

/* Data segments that the outer level may not hold become null (SDM volume 3, 5.8.6). */
static void drop_data_segments(struct interp *c, unsigned cpl)
{
    static const uint8_t data[4] = {SEG_ES, SEG_DS, SEG_FS, SEG_GS};

    exec_change(c, CPU_DSES | CPU_FSGS);
    for (unsigned i = 0; i < 4; i++) {
        struct cpu_segment *s = exec_segment(c, data[i]);

        if ((s->attr & CPU_SEG_P) && (s->attr >> 5 & 3u) < cpl && (s->attr & 0xc) != 0xc)
            *s = (struct cpu_segment){.base = s->base};
    }
}

/* What RETF and IRET take from the stack. */
struct frame {
    uint64_t rip, cs, flags, rsp, ss;
};

/* Goes to frame->cs:rip; at an outer level, or always in 64-bit IRET, to the frame's stack. */
static enum interp_status return_to(struct interp *c, const struct frame *frame, bool stack,
                                    uint64_t release)
{
    unsigned cpl = frame->cs & 3, size = c->insn.opsize;
    struct descriptor of_code, of_ss = {.raw = ACCESSED}; // a null SS has nothing to mark
    struct cpu_segment code, ss;
    bool outer = cpl > c->cpl;

    if (cpl < c->cpl)
        return bad_selector(c, EXCEPTION_GP, (uint16_t)frame->cs);
    TRY(check_code(c, (uint16_t)frame->cs, cpl, true, &code, &of_code));
    if (stack)
        TRY(check_stack(c, (uint16_t)frame->ss, cpl, &code, &ss, &of_ss));
    TRY(check_offset(c, &code, frame->rip & alu_mask(size)));
    TRY(segment_mark(c, &of_code, ACCESSED));
    TRY(segment_mark(c, &of_ss, ACCESSED));
    set_code(c, &code, frame->rip & alu_mask(size));
    if (stack) {
        c->state->ss = ss;
        if (c->mode == 8 && !(code.attr & CPU_SEG_L))
            c->mode = 4; // the stack pointer's width is that of the new SS
        c->state->gpr[CPU_RSP] =
            size == 8 ? frame->rsp : (c->state->gpr[CPU_RSP] & ~alu_mask(size)) | frame->rsp;
        exec_set_sp(c, frame->rsp + release);
    }
    if (outer)
        drop_data_segments(c, cpl);
    return INTERP_DONE;
}

enum interp_status exec_ret_far(struct interp *c)
{
    unsigned size = c->insn.opsize;
    struct frame frame = {0};
    bool outer;

    TRY(exec_stack_pop(c, size, &frame.rip));
    TRY(exec_stack_pop(c, size, &frame.cs));
    frame.cs &= 0xffff;
    exec_set_sp(c, c->state->gpr[CPU_RSP] + c->insn.imm);
    if (!exec_protected(c)) {
        if (frame.rip > c->state->cs.limit)
            return exec_gp0(c);
        segment_load_real(c, SEG_CS, (uint16_t)frame.cs);
        c->next_rip = frame.rip;
        return INTERP_DONE;
    }
    outer = (frame.cs & 3) > c->cpl;
    if (outer) {
        TRY(exec_stack_pop(c, size, &frame.rsp));
        TRY(exec_stack_pop(c, size, &frame.ss));
    }
    return return_to(c, &frame, outer, c->insn.imm);
}

/* Flags that IRET may change (SDM volume 2, IRET). */
static void set_flags(struct interp *c, uint64_t image, unsigned cpl, unsigned size)
{
    uint64_t change =
        RFLAGS_STATUS | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT | RFLAGS_RF | RFLAGS_AC | RFLAGS_ID;

    if (cpl <= (c->state->rflags & RFLAGS_IOPL) >> 12)
        change |= RFLAGS_IF;
    if (cpl == 0)
        change |= RFLAGS_IOPL | RFLAGS_VIF | RFLAGS_VIP;
    if (size == 2)
        change &= 0xffff;
    c->state->rflags = (c->state->rflags & ~change) | (image & change);
}

/* In virtual-8086 mode with an IOPL below 3: VIF stands for IF (SDM volume 3, 20.3.3). */
static enum interp_status iret_vme(struct interp *c, const struct frame *frame)
{
    const uint64_t change = RFLAGS_STATUS | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT | RFLAGS_VIF;
    uint64_t image = frame->flags & 0xffff;

    if (!(c->state->cr4 & CR4_VME) || c->insn.opsize != 2)
        return exec_gp0(c);
    if ((image & RFLAGS_TF) || ((image & RFLAGS_IF) && (c->state->rflags & RFLAGS_VIP)))
        return exec_gp0(c);
    if (frame->rip > c->state->cs.limit)
        return exec_gp0(c);
    image |= image & RFLAGS_IF ? RFLAGS_VIF : 0;
    segment_load_real(c, SEG_CS, (uint16_t)frame->cs);
    c->next_rip = frame->rip;
    c->state->rflags = (c->state->rflags & ~change) | (image & change);
    c->state->nmi_blocked = 0;
    return INTERP_DONE;
}

static enum interp_status iret_real(struct interp *c, const struct frame *frame)
{
    unsigned cpl = 0, size = c->insn.opsize;

    if (exec_virtual8086(c)) {
        if ((c->state->rflags & RFLAGS_IOPL) != RFLAGS_IOPL)
            return iret_vme(c, frame);
        cpl = 3;
    }
    if (frame->rip > c->state->cs.limit)
        return exec_gp0(c);
    segment_load_real(c, SEG_CS, (uint16_t)frame->cs);
    c->next_rip = frame->rip;
    set_flags(c, frame->flags & ~(RFLAGS_VIF | RFLAGS_VIP), cpl, size);
    c->state->nmi_blocked = 0;
    return INTERP_DONE;
}

/* To virtual-8086 mode: six more words. */
static enum interp_status iret_virtual8086(struct interp *c, const struct frame *frame)
{
    static const uint8_t order[5] = {SEG_SS, SEG_ES, SEG_DS, SEG_FS, SEG_GS};
    uint64_t sp, selector[5];

    TRY(exec_stack_pop(c, 4, &sp));
    for (unsigned i = 0; i < 5; i++)
        TRY(exec_stack_pop(c, 4, &selector[i]));
    set_flags(c, frame->flags, 0, 4);
    c->state->rflags |= RFLAGS_VM;
    segment_load_real(c, SEG_CS, (uint16_t)frame->cs);
    for (unsigned i = 0; i < 5; i++)
        segment_load_real(c, order[i], (uint16_t)selector[i]);
    c->state->gpr[CPU_RSP] = (uint32_t)sp;
    c->next_rip = (uint16_t)frame->rip;
    c->state->nmi_blocked = 0;
    return INTERP_DONE;
}

enum interp_status exec_iret(struct interp *c)
{
    unsigned size = c->insn.opsize, cpl = c->cpl;
    struct frame frame = {0};
    bool stack;

    if (exec_protected(c) && (c->state->rflags & RFLAGS_NT))
        return c->state->efer & EFER_LMA ? exec_gp0(c) : task_return(c);
    TRY(exec_stack_pop(c, size, &frame.rip));
    TRY(exec_stack_pop(c, size, &frame.cs));
    TRY(exec_stack_pop(c, size, &frame.flags));
    frame.cs &= 0xffff;
    if (!exec_protected(c))
        return iret_real(c, &frame);
    if (size == 4 && (frame.flags & RFLAGS_VM) && cpl == 0 && !(c->state->efer & EFER_LMA))
        return iret_virtual8086(c, &frame);
    stack = c->mode == 8 || (frame.cs & 3) > cpl;
    if (stack) {
        TRY(exec_stack_pop(c, size, &frame.rsp));
        TRY(exec_stack_pop(c, size, &frame.ss));
    }
    TRY(return_to(c, &frame, stack, 0));
    set_flags(c, frame.flags, cpl, size);
    c->state->nmi_blocked = 0;
    return INTERP_DONE;
}
