/* SPDX-License-Identifier: MIT */
/* Handlers: near control flow and the stack (SDM volume 2). */
#include "vmm/cpu/exec.h"

enum interp_status exec_branch(struct interp *c, uint64_t target)
{
    if (c->mode == 8) {
        if ((uint64_t)((int64_t)(target << 16) >> 16) != target)
            return exec_gp0(c);
    } else {
        target &= alu_mask(c->insn.opsize);
        if (target > c->state->cs.limit)
            return exec_gp0(c);
    }
    c->next_rip = target;
    return INTERP_DONE;
}

static enum interp_status branch_relative(struct interp *c)
{
    return exec_branch(c, c->next_rip + c->insn.imm);
}

enum interp_status exec_jmp(struct interp *c)
{
    return branch_relative(c);
}

enum interp_status exec_jcc(struct interp *c)
{
    return alu_condition(c->insn.opcode & 15, c->state->rflags) ? branch_relative(c) : INTERP_DONE;
}

enum interp_status exec_jcxz(struct interp *c)
{
    return exec_get_reg(c, CPU_RCX, c->insn.addrsize) == 0 ? branch_relative(c) : INTERP_DONE;
}

/* LOOPNE, LOOPE, LOOP are E0h, E1h, E2h. */
enum interp_status exec_loop(struct interp *c)
{
    uint64_t count = (c->state->gpr[CPU_RCX] - 1) & alu_mask(c->insn.addrsize);
    bool zero = c->state->rflags & RFLAGS_ZF;

    if (count && (c->insn.opcode == 0xe2 || zero == (c->insn.opcode == 0xe1)))
        TRY(branch_relative(c));
    exec_set_reg(c, CPU_RCX, c->insn.addrsize, count);
    return INTERP_DONE;
}

enum interp_status exec_jmp_near(struct interp *c)
{
    uint64_t target;

    TRY(exec_get(c, 0, &target));
    return exec_branch(c, target);
}

static enum interp_status call(struct interp *c, uint64_t target)
{
    uint64_t back = c->next_rip;

    TRY(exec_branch(c, target));
    return exec_stack_push(c, c->insn.opsize, back);
}

enum interp_status exec_call(struct interp *c)
{
    return call(c, c->next_rip + c->insn.imm);
}

enum interp_status exec_call_near(struct interp *c)
{
    uint64_t target;

    TRY(exec_get(c, 0, &target));
    return call(c, target);
}

enum interp_status exec_ret(struct interp *c)
{
    uint64_t target;

    TRY(exec_stack_pop(c, c->insn.opsize, &target));
    TRY(exec_branch(c, target));
    exec_set_sp(c, c->state->gpr[CPU_RSP] + c->insn.imm);
    return INTERP_DONE;
}

enum interp_status exec_push(struct interp *c)
{
    uint64_t value;

    TRY(exec_get(c, 0, &value));
    return exec_stack_push(c, c->insn.opsize, value);
}

/*
 * POP to memory computes its address after the stack pointer moved, and POP RSP keeps what was
 * popped. The stack pointer moves only if the store succeeds.
 */
enum interp_status exec_pop(struct interp *c)
{
    uint64_t value;

    TRY(exec_stack_pop(c, c->insn.opsize, &value));
    return exec_set(c, 0, value);
}

static unsigned fixed_segment(const struct interp *c)
{
    unsigned n = c->insn.opcode >> 3 & 7;

    return n; // 06 0E 16 1E, 0F A0, 0F A8: the segment's number in bits 5:3
}

static enum interp_status push_segment(struct interp *c)
{
    unsigned size = c->insn.opsize;
    uint16_t selector = exec_segment(c, fixed_segment(c))->sel;
    uint64_t sp = (c->state->gpr[CPU_RSP] - size) & exec_stack_mask(c);

    if (c->mode != 8 && size == 4) { // writes 16 of the 32 bits (SDM volume 2, PUSH)
        TRY(exec_write(c, SEG_SS, sp, 2, selector));
        exec_set_sp(c, sp);
        return INTERP_DONE;
    }
    return exec_stack_push(c, size, selector);
}

enum interp_status exec_push_seg(struct interp *c)
{
    return push_segment(c);
}

enum interp_status exec_pop_seg(struct interp *c)
{
    unsigned segment = fixed_segment(c);
    uint64_t value;

    TRY(exec_stack_pop(c, c->insn.opsize, &value));
    TRY(exec_load_segment(c, segment, (uint16_t)value));
    c->shadow = segment == SEG_SS;
    return INTERP_DONE;
}

/* All eight are stored in one go so that a fault leaves nothing behind. */
enum interp_status exec_pusha(struct interp *c)
{
    unsigned size = c->insn.opsize;
    uint64_t sp = c->state->gpr[CPU_RSP] & exec_stack_mask(c);
    struct access slot[8];

    for (unsigned i = 0; i < 8; i++)
        TRY(exec_access(c, SEG_SS, (sp - size * (i + 1)) & exec_stack_mask(c), size, ACCESS_WRITE,
                        &slot[i]));
    for (unsigned i = 0; i < 8; i++)
        exec_store(c, &slot[i], c->state->gpr[i]);
    exec_set_sp(c, sp - 8 * size);
    return INTERP_DONE;
}

enum interp_status exec_popa(struct interp *c)
{
    unsigned size = c->insn.opsize;
    uint64_t sp = c->state->gpr[CPU_RSP] & exec_stack_mask(c), value[8];

    for (unsigned i = 0; i < 8; i++)
        TRY(exec_read(c, SEG_SS, (sp + size * i) & exec_stack_mask(c), size, &value[i]));
    for (unsigned i = 0; i < 8; i++)
        if (7 - i != CPU_RSP)
            exec_set_reg(c, 7 - i, size, value[i]);
    exec_set_sp(c, sp + 8 * size);
    return INTERP_DONE;
}

/* SDM volume 2, ENTER; the level is modulo 32. */
enum interp_status exec_enter(struct interp *c)
{
    unsigned size = c->insn.opsize, level = c->insn.imm2 & 31;
    uint64_t *gpr = c->state->gpr, mask = exec_stack_mask(c), frame, rbp = gpr[CPU_RBP], value;
    struct access probe;

    TRY(exec_stack_push(c, size, rbp));
    frame = gpr[CPU_RSP];
    for (unsigned i = 1; i < level; i++) {
        rbp = (rbp & ~mask) | ((rbp - size) & mask);
        TRY(exec_read(c, SEG_SS, rbp & mask, size, &value));
        TRY(exec_stack_push(c, size, value));
    }
    if (level)
        TRY(exec_stack_push(c, size, frame));
    /* The new top must be writable, or the instruction faults. */
    TRY(exec_access(c, SEG_SS, (gpr[CPU_RSP] - c->insn.imm) & mask, size, ACCESS_WRITE, &probe));
    exec_set_sp(c, gpr[CPU_RSP] - c->insn.imm);
    exec_set_reg(c, CPU_RBP, size, frame);
    return INTERP_DONE;
}

enum interp_status exec_leave(struct interp *c)
{
    uint64_t value, *gpr = c->state->gpr;

    TRY(exec_read(c, SEG_SS, gpr[CPU_RBP] & exec_stack_mask(c), c->insn.opsize, &value));
    exec_set_sp(c, (gpr[CPU_RBP] & exec_stack_mask(c)) + c->insn.opsize);
    exec_set_reg(c, CPU_RBP, c->insn.opsize, value);
    return INTERP_DONE;
}

/* BOUND: signed bounds, the upper one included. */
enum interp_status exec_bound(struct interp *c)
{
    unsigned size = c->insn.opsize;
    uint64_t low, high, address = exec_address(c);
    int64_t index = (int64_t)alu_extend(exec_get_reg(c, c->insn.reg, size), size);

    TRY(exec_read(c, c->insn.segment, address, size, &low));
    if (index < (int64_t)alu_extend(low, size))
        return exec_fault(c, EXCEPTION_BR);
    TRY(exec_read(c, c->insn.segment, (address + size) & alu_mask(c->insn.addrsize), size, &high));
    if (index > (int64_t)alu_extend(high, size))
        return exec_fault(c, EXCEPTION_BR);
    return INTERP_DONE;
}
