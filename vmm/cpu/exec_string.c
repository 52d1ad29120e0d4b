/* SPDX-License-Identifier: MIT */
/*
 * Handlers: string instructions and ports (SDM volume 2, REP; volume 1, chapter 18). A repeated one
 * does a bounded number of iterations a step and then ends it with INTERP_AGAIN, registers up to
 * date and RIP on itself, as after an interrupt.
 */
#include "vmm/cpu/debug.h"
#include "vmm/cpu/exec.h"

#include "vmm/engine.h"

static void advance(struct interp *c, unsigned reg, unsigned size)
{
    uint64_t step = c->state->rflags & RFLAGS_DF ? -(uint64_t)size : size;

    exec_set_reg(c, reg, c->insn.addrsize, c->state->gpr[reg] + step);
}

static uint64_t index_register(const struct interp *c, unsigned reg)
{
    return c->state->gpr[reg] & alu_mask(c->insn.addrsize);
}

static unsigned element_size(const struct interp *c)
{
    if (!(c->insn.opcode & 1))
        return 1;
    return c->insn.opcode < 0x70 && c->insn.opsize == 8 ? 4
                                                        : c->insn.opsize; // ports are 32 bits wide
}

/* Iterations of `one`; a comparing instruction ends early when ZF is not what its prefix wants. */
static enum interp_status repeat(struct interp *c, exec_fn *one, bool compares)
{
    unsigned limit = (c->state->rflags & RFLAGS_TF) || c->watch ? 1 : c->share;
    uint64_t count;

    if (!(c->insn.prefixes & (INSN_REP | INSN_REPNE)))
        return one(c);
    count = index_register(c, CPU_RCX);
    if (count == 0) { // with 32-bit addresses that clears the upper half
        exec_set_reg(c, CPU_RCX, c->insn.addrsize, 0);
        return INTERP_DONE;
    }
    for (;;) {
        TRY(one(c));
        exec_set_reg(c, CPU_RCX, c->insn.addrsize, --count);
        if (count == 0)
            return INTERP_DONE;
        if (compares && !(c->state->rflags & RFLAGS_ZF) == !(c->insn.prefixes & INSN_REPNE))
            return INTERP_DONE;
        if (--limit == 0)
            return INTERP_AGAIN;
    }
}

static enum interp_status source(struct interp *c, unsigned size, struct access *a)
{
    return exec_access(c, c->insn.segment, index_register(c, CPU_RSI), size, 0, a);
}

/* The destination is always in ES. */
static enum interp_status destination(struct interp *c, unsigned size, uint32_t flags,
                                      struct access *a)
{
    return exec_access(c, SEG_ES, index_register(c, CPU_RDI), size, flags, a);
}

static enum interp_status movs_one(struct interp *c)
{
    unsigned size = element_size(c);
    struct access from, to;

    TRY(source(c, size, &from));
    TRY(destination(c, size, ACCESS_WRITE, &to));
    exec_store(c, &to, exec_load(c, &from));
    advance(c, CPU_RSI, size);
    advance(c, CPU_RDI, size);
    return INTERP_DONE;
}

static enum interp_status cmps_one(struct interp *c)
{
    unsigned size = element_size(c);
    struct access a, b;

    TRY(source(c, size, &a));
    TRY(destination(c, size, 0, &b));
    alu_sub(exec_load(c, &a), exec_load(c, &b), size, &c->state->rflags);
    advance(c, CPU_RSI, size);
    advance(c, CPU_RDI, size);
    return INTERP_DONE;
}

static enum interp_status stos_one(struct interp *c)
{
    unsigned size = element_size(c);
    struct access to;

    TRY(destination(c, size, ACCESS_WRITE, &to));
    exec_store(c, &to, exec_get_reg(c, CPU_RAX, size));
    advance(c, CPU_RDI, size);
    return INTERP_DONE;
}

static enum interp_status lods_one(struct interp *c)
{
    unsigned size = element_size(c);
    struct access from;

    TRY(source(c, size, &from));
    exec_set_reg(c, CPU_RAX, size, exec_load(c, &from));
    advance(c, CPU_RSI, size);
    return INTERP_DONE;
}

static enum interp_status scas_one(struct interp *c)
{
    unsigned size = element_size(c);
    struct access a;

    TRY(destination(c, size, 0, &a));
    alu_sub(exec_get_reg(c, CPU_RAX, size), exec_load(c, &a), size, &c->state->rflags);
    advance(c, CPU_RDI, size);
    return INTERP_DONE;
}

enum interp_status exec_movs(struct interp *c) { return repeat(c, movs_one, false); }
enum interp_status exec_cmps(struct interp *c) { return repeat(c, cmps_one, true); }
enum interp_status exec_stos(struct interp *c) { return repeat(c, stos_one, false); }
enum interp_status exec_lods(struct interp *c) { return repeat(c, lods_one, false); }
enum interp_status exec_scas(struct interp *c) { return repeat(c, scas_one, true); }

/*
 * Above IOPL, and in virtual-8086 mode, the TSS's bitmap decides; two bytes of it are read, so that
 * an access may straddle (SDM volume 1, 18.5.2).
 */
static enum interp_status port_permission(struct interp *c, uint16_t port, unsigned size)
{
    const struct cpu_segment *tr = &c->state->tr;
    uint64_t base, bits;
    struct access a;

    if (!(c->state->cr0 & CR0_PE) ||
        (!exec_virtual8086(c) && c->cpl <= (c->state->rflags & RFLAGS_IOPL) >> 12))
        return INTERP_DONE;
    exec_need(c, CPU_TRLDTR);
    if ((tr->attr & 0x9d) != 0x89 || tr->limit < 103) // a present TSS of 32 or 64 bits
        return exec_gp0(c);
    TRY(exec_prepare(c, tr->base + 102, 2, ACCESS_IMPLICIT, &a));
    base = exec_load(c, &a) + port / 8;
    if (base + 1 > tr->limit)
        return exec_gp0(c);
    TRY(exec_prepare(c, tr->base + base, 2, ACCESS_IMPLICIT, &a));
    bits = exec_load(c, &a) >> port % 8;
    return bits & ((1u << size) - 1) ? exec_gp0(c) : INTERP_DONE;
}

static unsigned port_size(const struct interp *c)
{
    return !(c->insn.opcode & 1) ? 1 : c->insn.opsize == 2 ? 2 : 4;
}

/* IN and OUT end as a hardware engine's exit does. */
static enum interp_status port_exit(struct interp *c, uint64_t direction)
{
    uint16_t port = c->insn.opcode & 8 ? (uint16_t)c->state->gpr[CPU_RDX] : (uint16_t)c->insn.imm;
    unsigned size = port_size(c);

    TRY(port_permission(c, port, size));
    return exec_exit(c, EXIT_IO, (uint64_t)port << 16 | size << 4 | direction, c->next_rip);
}

enum interp_status exec_in(struct interp *c)  { return port_exit(c, EXIT_IO_IN); }
enum interp_status exec_out(struct interp *c) { return port_exit(c, 0); }

static void watch_port(struct interp *c, uint16_t port, unsigned size)
{
    if (c->watch && (c->state->cr4 & CR4_DE))
        c->hits |= debug_match(c->state, DEBUG_PORT, port, size);
}

static enum interp_status ins_one(struct interp *c)
{
    unsigned size = element_size(c);
    uint16_t port = (uint16_t)c->state->gpr[CPU_RDX];
    struct access to;

    TRY(port_permission(c, port, size));
    TRY(destination(c, size, ACCESS_WRITE, &to));
    exec_store(c, &to, c->ops->port_in(c->arg, port, size));
    watch_port(c, port, size);
    advance(c, CPU_RDI, size);
    return INTERP_DONE;
}

static enum interp_status outs_one(struct interp *c)
{
    unsigned size = element_size(c);
    uint16_t port = (uint16_t)c->state->gpr[CPU_RDX];
    struct access from;

    TRY(port_permission(c, port, size));
    TRY(source(c, size, &from));
    c->ops->port_out(c->arg, port, size, (uint32_t)exec_load(c, &from));
    watch_port(c, port, size);
    advance(c, CPU_RSI, size);
    return INTERP_DONE;
}

enum interp_status exec_ins(struct interp *c)  { return repeat(c, ins_one, false); }
enum interp_status exec_outs(struct interp *c) { return repeat(c, outs_one, false); }
