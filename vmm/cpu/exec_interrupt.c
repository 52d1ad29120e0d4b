/* SPDX-License-Identifier: MIT */
/*
 * Handlers: software interrupts (SDM volume 2, INT n). Executed in real mode; in protected mode
 * they go through gates, which this interpreter does not do (INTERP_UNSUPPORTED).
 */
#include "vmm/cpu/exec.h"

#include "vmm/cpu/segment.h"

/* SDM volume 3, 20.1.4. */
static enum interp_status interrupt_real(struct interp *c, unsigned vector)
{
    uint64_t entry, rflags = c->state->rflags;
    struct access a;

    exec_need(c, CPU_TABLES);
    if (vector * 4 + 3 > c->state->idtr.limit)
        return exec_gp0(c);
    TRY(exec_prepare(c, (uint32_t)(c->state->idtr.base + vector * 4), 4, ACCESS_IMPLICIT, &a));
    entry = exec_load(c, &a);
    TRY(exec_stack_push(c, 2, rflags));
    TRY(exec_stack_push(c, 2, c->state->cs.sel));
    TRY(exec_stack_push(c, 2, c->next_rip));
    c->state->rflags = rflags & ~(RFLAGS_IF | RFLAGS_TF | RFLAGS_AC | RFLAGS_RF);
    segment_load_real(c, SEG_CS, (uint16_t)(entry >> 16));
    c->next_rip = entry & 0xffff;
    return INTERP_DONE;
}

static enum interp_status software_interrupt(struct interp *c, unsigned vector)
{
    if (!(c->state->cr0 & CR0_PE))
        return interrupt_real(c, vector);
    if (exec_virtual8086(c) && (c->state->rflags & RFLAGS_IOPL) != RFLAGS_IOPL &&
        c->insn.opcode == 0xcd && !(c->state->cr4 & CR4_VME))
        return exec_gp0(c);
    return INTERP_UNSUPPORTED;
}

enum interp_status exec_int_n(struct interp *c)
{
    return software_interrupt(c, (unsigned)c->insn.imm & 0xff);
}
enum interp_status exec_int3(struct interp *c)  { return software_interrupt(c, EXCEPTION_BP); }
enum interp_status exec_int1(struct interp *c)  { return software_interrupt(c, EXCEPTION_DB); }

enum interp_status exec_into(struct interp *c)
{
    return c->state->rflags & RFLAGS_OF ? software_interrupt(c, EXCEPTION_OF) : INTERP_DONE;
}
