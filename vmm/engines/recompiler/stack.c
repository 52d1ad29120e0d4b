/* SPDX-License-Identifier: MIT */
/* The guest's stack: PUSH, POP, LEAVE. */
#include "vmm/engines/recompiler/translate.h"

void stack_add(struct translation *t, int32_t n)
{
    emit_op(t->e, word_op(t, 0x8d), R13, rm_mem(R13, n)); // lea
}

static struct ea stack_ea(int32_t disp)
{
    return (struct ea){.base = CPU_RSP, .index = INSN_NO_REG, .disp = disp};
}

struct rm stack_push_slot(struct translation *t, const struct unit *u)
{
    return operand_free_r14(t, operand_check(t, u, stack_ea(-(int32_t)word_size(t)), word_size(t),
                                             REC_ACCESS_WRITE));
}

struct rm stack_pop_slot(struct translation *t, const struct unit *u)
{
    return operand_check(t, u, stack_ea(0), word_size(t), 0);
}

void stack_push(struct translation *t, const struct unit *u)
{
    const struct insn *i = &u->insn;
    struct emit *e = t->e;
    struct rm slot;

    if (!operand_is_checked(u))
        flags_give_up(t, u->live_before);
    if (i->opcode == 0xff && i->memory) {
        operand_load_word(t, u);
        emit_store(e, rm_mem(RSP, AT(value)), R14);
        slot = stack_push_slot(t, u);
        emit_load(e, R14, rm_mem(RSP, AT(value)));
        operand_note_trap(t, u);
        emit_op(e, word_op(t, 0x89), R14, slot);
    } else if (i->opcode == 0x68 || i->opcode == 0x6a) {
        slot = stack_push_slot(t, u);
        operand_note_trap(t, u);
        emit_op_imm(e, word_op(t, 0xc7), 0, slot, (uint32_t)i->imm, 4);
    } else {
        unsigned from = in_memory(i->rm) ? R14 : host_reg(i->rm);

        slot = stack_push_slot(t, u);
        if (from == R14)
            emit_load(e, R14, gpr_slot(i->rm));
        operand_note_trap(t, u);
        emit_op(e, word_op(t, 0x89), from, slot);
    }
    stack_add(t, -(int32_t)word_size(t));
}

void stack_pop(struct translation *t, const struct unit *u)
{
    struct emit *e = t->e;
    unsigned guest = u->insn.rm, to = in_memory(guest) ? R14 : host_reg(guest);
    struct rm slot;

    if (!operand_is_checked(u))
        flags_give_up(t, u->live_before);
    slot = operand_check(t, u, stack_ea(0), word_size(t), 0);
    operand_note_trap(t, u);
    if (guest == CPU_RSP) {
        emit_op(e, word_op(t, 0x8b), R13, slot);
        return;
    }
    emit_op(e, word_op(t, 0x8b), to, slot);
    if (to == R14)
        emit_store(e, gpr_slot(guest), R14);
    stack_add(t, (int32_t)word_size(t));
}

void stack_leave(struct translation *t, const struct unit *u)
{
    struct ea ea = {.base = CPU_RBP, .index = INSN_NO_REG, .narrow = t->code_size == 4};
    struct rm slot;

    flags_give_up(t, u->live_before);
    slot = operand_check(t, u, ea, word_size(t), 0);
    emit_op(t->e, word_op(t, 0x8b), R14, slot);
    emit_op(t->e, word_op(t, 0x8d), R13, rm_mem(RBP, (int32_t)word_size(t)));
    emit_op(t->e, word_op(t, 0x8b), RBP, rm_reg(R14));
}
