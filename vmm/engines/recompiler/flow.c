/* SPDX-License-Identifier: MIT */
/* Branches, the ends of blocks, and the code behind them. */
#include "vmm/engines/recompiler/translate.h"

#define JMP_RM OP32(0xff) // /4
#define PEXT   ((struct op){.map = 2, .byte = 0xf5, .pp = 2, .vex = true})
#define MOVZX8 ((struct op){.map = 1, .byte = 0xb6, .byte_regs = true})
#define LINE   64u

/* The address `offset` bytes from the page's into R14. */
static void linear_address(struct translation *t, int32_t offset)
{
    emit_load(t->e, R14, rm_mem(RSP, AT(page)));
    emit_op(t->e, word_op(t, 0x8d), R14, rm_mem(R14, offset));
}

/* To the linear address in R14, by the jump table. Flags are in memory. */
static void jump_by_table(struct translation *t)
{
    struct emit *e = t->e;

    if (t->blocks->bmi2) {
        struct op pext = PEXT;

        pext.w = true;
        pext.vvvv = R14;
        emit_op(e, pext, R15, rm_mem(RSP, AT(jump_mask)));
    } else {
        emit_op(e, MOVZX8, R15, rm_reg(R14));
    }
    emit_op(e, JMP_RM, 4,
            rm_gs(rm_mem_index(NO_REG, R15, 3, (int32_t)offsetof(struct view, jump_to))));
}

/*
 * To an address of the program's choice. The kernel's is noted as what to do again should the
 * address not be canonical: the fault is the branch's. User code's has the target's address.
 */
static void jump_anywhere(struct translation *t, const struct unit *u)
{
    if (t->code_size == 8 && !(t->mode & REC_MODE_USER))
        emit_store_imm(t->e, rm_mem(RSP, AT(offset)), u->offset);
    jump_by_table(t);
}

/*
 * Can a jump to `offset` be chained? An instruction in two pages is found by its linear address: which
 * page is the second one is not this one's to know.
 */
static bool is_chained(const struct translation *t, int32_t offset)
{
    return offset >= 0 && offset < (int32_t)PAGE_BYTES &&
           !blocks_crosses(t->bytes, (unsigned)offset, t->mode);
}

static struct cold *new_cold(struct translation *t, int32_t offset)
{
    struct cold *c = &t->cold[t->cold_count++];

    *c = (struct cold){.offset = offset};
    return c;
}

/* A displacement that is patched later must not cross a line: other threads may be running it. */
static void keep_in_line(struct emit *e, unsigned before)
{
    unsigned at = (unsigned)(emit_here(e) + before) & (LINE - 1);

    if (at > LINE - 4)
        emit_nops(e, LINE - at);
}

/* In the page: chained. `from`: of the branch, to tell loops. */
static void chain(struct translation *t, int32_t offset, int32_t from)
{
    enum block_flags wanted = translate_flags_wanted(t, offset);
    bool back = offset <= from && !(wanted == BLOCK_FLAGS_HOST && translate_poll_at(t, offset));
    struct cold *c;

    if (wanted == BLOCK_FLAGS_MEMORY || (wanted == BLOCK_FLAGS_HOST && back))
        flags_to_memory(t);
    else if (wanted == BLOCK_FLAGS_HOST)
        flags_to_host(t);
    keep_in_line(t->e, 1);
    c = new_cold(t, offset);
    c->what = COLD_CHAIN;
    c->entry = back;
    c->save = wanted == BLOCK_FLAGS_HOST && !(t->flags & FLAGS_SAVED);
    c->jump = emit_jmp_later(t->e);
}

void flow_table(struct translation *t, int32_t offset)
{
    flags_to_memory(t);
    linear_address(t, offset);
    jump_by_table(t);
}

void flow_jump(struct translation *t, int32_t offset, int32_t from)
{
    if (is_chained(t, offset)) {
        chain(t, offset, from);
        return;
    }
    flow_table(t, offset);
}

/*
 * A branch out of the block. Taken straight where the flags are as the target wants them; else by a
 * piece of code behind the block that puts them there.
 */
void flow_jcc(struct translation *t, const struct unit *u)
{
    int32_t offset = u->offset + u->insn.length + (int32_t)u->insn.imm;
    bool inside = is_chained(t, offset), back = offset <= (int32_t)u->offset;
    enum block_flags wanted = inside ? translate_flags_wanted(t, offset) : BLOCK_FLAGS_MEMORY;
    struct cold *c;

    if (wanted == BLOCK_FLAGS_HOST && translate_poll_at(t, offset))
        back = false; // it looks for itself whether to leave, further on
    flags_to_host(t);
    keep_in_line(t->e, 2);
    c = new_cold(t, offset);
    c->jump = emit_jcc_later(t->e, u->insn.opcode & 15);
    c->entry = back;
    if (inside && (wanted == BLOCK_FLAGS_DEAD || (t->flags & FLAGS_SAVED) ||
                   (wanted == BLOCK_FLAGS_HOST && !back))) {
        c->what = COLD_CHAIN;
        c->save = wanted == BLOCK_FLAGS_HOST && !(t->flags & FLAGS_SAVED);
    } else {
        c->what = COLD_TAKEN;
        c->save = !(t->flags & FLAGS_SAVED);
    }
}

static void call(struct translation *t, const struct unit *u)
{
    struct rm slot = stack_push_slot(t, u);

    linear_address(t, u->offset + u->insn.length);
    operand_note_trap(t, u);
    emit_op(t->e, word_op(t, 0x89), R14, slot);
    stack_add(t, -(int32_t)word_size(t));
}

/* Out, by a stub that finds behind the call which offset in the page that is about. */
static void leave_at(struct translation *t, uint64_t stub, int32_t offset)
{
    emit_call(t->e, stub);
    emit_value(t->e, (uint16_t)offset, 2);
}

void flow_interpret(struct translation *t, unsigned offset)
{
    flags_to_memory(t);
    leave_at(t, t->blocks->stubs.interpret_at, (int32_t)offset);
}

void flow_end(struct translation *t, const struct unit *u)
{
    struct emit *e = t->e;
    bool branches = u->class == INSN_JMP || u->class == INSN_CALL;
    int32_t next = u->offset + u->insn.length, target = branches ? next + (int32_t)u->insn.imm : 0;

    switch (u->class) {
    case INSN_JMP:
        flow_jump(t, target, u->offset);
        break;
    case INSN_CALL:
        flags_give_up(t, u->live_before);
        call(t, u);
        flow_jump(t, target, u->offset);
        break;
    case INSN_RET: {
        struct rm slot;

        flags_give_up(t, u->live_before);
        slot = stack_pop_slot(t, u);
        operand_note_trap(t, u);
        emit_op(e, word_op(t, 0x8b), R14, slot);
        stack_add(t, (int32_t)(word_size(t) + (u->insn.opcode == 0xc2 ? (u->insn.imm & 0xffff) : 0)));
        jump_anywhere(t, u);
        break;
    }
    case INSN_JMP_INDIRECT:
        flags_give_up(t, u->live_before);
        operand_load_word(t, u);
        jump_anywhere(t, u);
        break;
    case INSN_CALL_INDIRECT:
        flags_give_up(t, u->live_before);
        operand_load_word(t, u);
        emit_store(e, rm_mem(RSP, AT(value)), R14);
        call(t, u);
        emit_load(e, R14, rm_mem(RSP, AT(value)));
        jump_anywhere(t, u);
        break;
    case INSN_SYSCALL: system_call(t, u, rec_syscall, (uint32_t)next); break;
    case INSN_SYSRET:  system_call(t, u, rec_sysret, 0); break;
    case INSN_IRET:    system_call(t, u, rec_iret, 0); break;
    case INSN_WRITE_CR3:
        system_call(t, u, rec_write_cr3, (uint32_t)next | (u->insn.rm & 15u) << 16);
        break;
    case INSN_INVLPG:  system_call_at(t, u, rec_invlpg, (uint32_t)next); break;
    default:
        flow_interpret(t, u->offset);
        break;
    }
}

/* --- Behind the block --- */

/* A group in two pages, from R14 on: its accesses one by one, in a block that begins here. */
static void in_two_pages(struct translation *t, const struct cold *c)
{
    struct emit *e = t->e;
    struct cold *further = new_cold(t, c->offset);

    emit_mov(e, R15, R14);
    emit_op_imm(e, OP32(0x81), 4, rm_reg(R15), PAGE_BYTES - 1, 4); // and
    emit_op_imm(e, OP32(0x81), 7, rm_reg(R15), PAGE_BYTES - REC_ACCESS_SIZE(c->kind), 4); // cmp
    keep_in_line(e, 2);
    further->what = COLD_PLAIN;
    further->jump = emit_jcc_later(e, CC_A);
}

static void cold_fill(struct translation *t, const struct cold *c)
{
    struct emit *e = t->e;

    operand_address(t, c->ea);
    if (c->kind & REC_ACCESS_SHARED)
        in_two_pages(t, c);
    emit_call(e, t->blocks->stubs.fill);
    emit_jmp(e, c->back);
    emit_value(e, (uint16_t)c->offset, 2);
    emit_value(e, c->kind, 4);
}

/* Out, to find the target; the jump is patched then. */
static void cold_chain(struct translation *t, const struct cold *c)
{
    struct emit *e = t->e;
    uint64_t site = (uint64_t)(uintptr_t)c->jump + (uint64_t)e->executable;

    if (c->save)
        flags_save_raw(e);
    leave_at(t, c->what == COLD_PLAIN ? t->blocks->stubs.chain_plain
                : c->entry            ? t->blocks->stubs.chain_entry
                                      : t->blocks->stubs.chain_direct, c->offset);
    emit_value(e, emit_here(e) - site, 2);
}

static void cold_taken(struct translation *t, struct cold *c)
{
    struct cold further = *c;

    if (c->save)
        flags_save_raw(t->e);
    if (!is_chained(t, c->offset)) {
        linear_address(t, c->offset);
        jump_by_table(t);
        return;
    }
    keep_in_line(t->e, 1);
    further.jump = emit_jmp_later(t->e);
    further.save = false;
    emit_set(t->e, further.jump, emit_here(t->e));
    cold_chain(t, &further);
}

void flow_cold(struct translation *t)
{
    for (unsigned i = 0; i < t->cold_count; i++) {
        struct cold *c = &t->cold[i];

        emit_set(t->e, c->jump, emit_here(t->e));
        switch (c->what) {
        case COLD_FILL:  cold_fill(t, c); break;
        case COLD_CHAIN: case COLD_PLAIN: cold_chain(t, c); break;
        case COLD_TAKEN: cold_taken(t, c); break;
        case COLD_INTERPRET: leave_at(t, t->blocks->stubs.interpret_at, c->offset); break;
        case COLD_POLL:  leave_at(t, t->blocks->stubs.poll_at, c->offset); break;
        }
    }
}
