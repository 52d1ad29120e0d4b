/* SPDX-License-Identifier: MIT */
/* The code that all blocks share: in, out, and the way to a translation of an address. */
#include "vmm/engines/recompiler/blocks.h"

/* Guest registers that live in the host's of the same name. */
static const uint8_t same[] = {RAX, RCX, RDX, RBX, RBP, RSI, RDI, R8, R9, R10, R11, R12};
/* Those of the host that a C function need not keep. */
static const uint8_t scratch[] = {RAX, RCX, RDX, RSI, RDI, R8, R9, R10, R11};
static const uint8_t kept[] = {RBX, RBP, R12, R13, R14, R15};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void push(struct emit *e, unsigned reg)
{
    if (reg >= 8)
        emit_byte(e, 0x41);
    emit_byte(e, 0x50 | (reg & 7));
}

static void pop(struct emit *e, unsigned reg)
{
    if (reg >= 8)
        emit_byte(e, 0x41);
    emit_byte(e, 0x58 | (reg & 7));
}

/* RDI: struct rec_cpu, RSI: where to go. */
static uint64_t make_enter(struct emit *e)
{
    uint64_t at = emit_here(e);

    for (unsigned i = 0; i < COUNT(kept); i++)
        push(e, kept[i]);
    emit_store(e, rm_mem(RDI, (int32_t)offsetof(struct rec_cpu, host_rsp)), RSP);
    emit_lea(e, RSP, rm_mem(RDI, (int32_t)offsetof(struct rec_cpu, state)));
    emit_mov(e, R14, RSI);
    for (unsigned i = 0; i < COUNT(same); i++)
        emit_load(e, same[i], rm_mem(RSP, AT_GPR(same[i])));
    emit_load(e, R13, rm_mem(RSP, AT(state.rsp)));
    emit_op(e, OP32(0xff), 4, rm_reg(R14)); // jmp
    return at;
}

static uint64_t make_leave(struct emit *e)
{
    uint64_t at = emit_here(e);

    for (unsigned i = 0; i < COUNT(same); i++)
        emit_store(e, rm_mem(RSP, AT_GPR(same[i])), same[i]);
    emit_store(e, rm_mem(RSP, AT(state.rsp)), R13);
    emit_load(e, RSP, rm_mem(RSP, AT(host_rsp)));
    for (unsigned i = COUNT(kept); i-- > 0;)
        pop(e, kept[i]);
    emit_byte(e, 0xc3);
    return at;
}

/* The view's second table, by view_second(): R15 is four times the index. */
static uint64_t make_lookup(struct emit *e, uint64_t unknown)
{
    uint64_t at = emit_here(e);

    emit_mov(e, R15, R14);
    emit_op_imm(e, OP64(0xc1), 5, rm_reg(R15), VIEW_FOLD, 1); // shr
    emit_op(e, OP64(0x33), R15, rm_reg(R14));                 // xor
    emit_op_imm(e, OP32(0x81), 4, rm_reg(R15), (VIEW_SECOND - 1) << 2, 4);
    emit_op(e, OP64(0x3b), R14,
            rm_gs(rm_mem_index(NO_REG, R15, 1, (int32_t)offsetof(struct view, jump_tag[VIEW_JUMPS]))));
    emit_jcc(e, CC_NE, unknown);
    emit_op(e, OP32(0xff), 4,
            rm_gs(rm_mem_index(NO_REG, R15, 1, (int32_t)offsetof(struct view, jump_to[VIEW_JUMPS]))));
    return at;
}

static uint64_t make_exit(struct emit *e, enum rec_exit why, uint64_t leave)
{
    uint64_t at = emit_here(e);

    emit_store_imm(e, rm_mem(RSP, AT(exit)), why);
    emit_jmp(e, leave);
    return at;
}

#define MOVZX16 ((struct op){.map = 1, .byte = 0xb7})

/* A call, by which a block is left. Behind the return address is an offset in the page. */
static uint64_t make_exit_at(struct emit *e, uint64_t out)
{
    uint64_t at = emit_here(e);

    pop(e, R14);
    emit_op(e, MOVZX16, R14, rm_mem(R14, 0));
    emit_op(e, OP32(0x89), R14, rm_mem(RSP, AT(offset)));
    emit_jmp(e, out);
    return at;
}

/* Likewise; behind the offset, how far it is from there back to the jump that is to be patched. */
static uint64_t make_chain(struct emit *e, enum rec_exit why, uint64_t leave)
{
    uint64_t at = emit_here(e);

    pop(e, R14);
    emit_op(e, MOVZX16, R15, rm_mem(R14, 0));
    emit_op(e, OP32(0x89), R15, rm_mem(RSP, AT(offset)));
    emit_op(e, MOVZX16, R15, rm_mem(R14, 2));
    emit_lea(e, R14, rm_mem(R14, 2));
    emit_op(e, OP64(0x2b), R14, rm_reg(R15)); // sub
    emit_store(e, rm_mem(RSP, AT(site)), R14);
    make_exit(e, why, leave);
    return at;
}

/*
 * A call from an access that missed. Behind the return address: a jump of 5 bytes, the instruction's
 * offset in its page, and the kind of access.
 */
static uint64_t make_fill(struct emit *e, uint64_t interpret)
{
    const int32_t depth = 8 * (int32_t)(1 + COUNT(scratch)); // 80: aligned for the call
    uint64_t at = emit_here(e);
    uint8_t *refused;

    for (unsigned i = 0; i < COUNT(scratch); i++)
        push(e, scratch[i]);
    emit_lea(e, RDI, rm_mem(RSP, depth - (int32_t)offsetof(struct rec_cpu, state)));
    emit_mov(e, RSI, R14);
    emit_load(e, RDX, rm_mem(RSP, 8 * (int32_t)COUNT(scratch))); // the return address
    emit_op(e, OP32(0x8b), RDX, rm_mem(RDX, 7));
    emit_mov_imm(e, RAX, (uint64_t)(uintptr_t)rec_fill);
    emit_op(e, OP32(0xff), 2, rm_reg(RAX)); // call
    emit_mov(e, R15, RAX);
    emit_mov_imm(e, RCX, REC_REFUSED);
    emit_op(e, OP64(0x39), RCX, rm_reg(R15)); // cmp
    for (unsigned i = COUNT(scratch); i-- > 0;)
        pop(e, scratch[i]);
    refused = emit_jcc_later(e, CC_E);
    emit_byte(e, 0xc3);
    emit_set(e, refused, emit_here(e));
    pop(e, R14);
    emit_op(e, MOVZX16, R14, rm_mem(R14, 5));
    emit_op(e, OP32(0x89), R14, rm_mem(RSP, AT(offset)));
    emit_jmp(e, interpret);
    return at;
}

/* A call from a block: everything into the state, a C function, and back or elsewhere. */
static uint64_t make_helper(struct emit *e)
{
    uint64_t at = emit_here(e);

    pop(e, R14); // where to go on
    emit_store(e, rm_mem(RSP, AT(value)), R14);
    for (unsigned i = 0; i < COUNT(same); i++)
        emit_store(e, rm_mem(RSP, AT_GPR(same[i])), same[i]);
    emit_store(e, rm_mem(RSP, AT(state.rsp)), R13);
    emit_lea(e, RDI, rm_mem(RSP, -(int32_t)offsetof(struct rec_cpu, state)));
    emit_op(e, OP32(0xff), 2, rm_reg(R15)); // call
    emit_load(e, R14, rm_mem(RSP, AT(value)));
    emit_op(e, OP64(0x85), RAX, rm_reg(RAX));                                // test
    emit_op(e, (struct op){.map = 1, .byte = 0x45, .w = true}, R14, rm_reg(RAX)); // cmovne
    for (unsigned i = 0; i < COUNT(same); i++)
        emit_load(e, same[i], rm_mem(RSP, AT_GPR(same[i])));
    emit_load(e, R13, rm_mem(RSP, AT(state.rsp)));
    emit_op(e, OP32(0xff), 4, rm_reg(R14)); // jmp
    return at;
}

/* After a store to cpu->bounce: to the pages it belongs to. Keeps the flags as well. */
static uint64_t make_commit(struct emit *e)
{
    const int32_t depth = 8 * (int32_t)(1 + COUNT(scratch)); // 80: aligned for the call
    uint64_t at = emit_here(e);

    emit_byte(e, 0x9c); // pushfq
    for (unsigned i = 0; i < COUNT(scratch); i++)
        push(e, scratch[i]);
    emit_lea(e, RDI, rm_mem(RSP, depth - (int32_t)offsetof(struct rec_cpu, state)));
    emit_mov_imm(e, RAX, (uint64_t)(uintptr_t)rec_commit);
    emit_op(e, OP32(0xff), 2, rm_reg(RAX)); // call
    for (unsigned i = COUNT(scratch); i-- > 0;)
        pop(e, scratch[i]);
    emit_byte(e, 0x9d);
    emit_op(e, OP32(0xff), 4, rm_reg(R14)); // jmp
    return at;
}

void stubs_make(struct blocks *blocks)
{
    struct emit *e = &blocks->emit;
    struct stubs *s = &blocks->stubs;
    uint64_t leave;

    s->enter = make_enter(e);
    leave = make_leave(e);
    s->leave = make_exit(e, REC_EXIT_LOOKUP, leave);
    s->unknown = emit_here(e);
    emit_store(e, rm_mem(RSP, AT(state.rip)), R14);
    emit_jmp(e, s->leave);
    s->lookup = make_lookup(e, s->unknown);
    s->poll = make_exit(e, REC_EXIT_POLL, leave);
    s->interpret = make_exit(e, REC_EXIT_INTERPRET, leave);
    s->poll_at = make_exit_at(e, s->poll);
    s->interpret_at = make_exit_at(e, s->interpret);
    s->chain_direct = make_chain(e, REC_EXIT_CHAIN_DIRECT, leave);
    s->chain_entry = make_chain(e, REC_EXIT_CHAIN_ENTRY, leave);
    s->chain_plain = make_chain(e, REC_EXIT_CHAIN_PLAIN, leave);
    s->helper = make_helper(e);
    s->fill = make_fill(e, s->interpret);
    s->commit = make_commit(e);
    s->stored = emit_here(e);
    emit_op(e, OP32(0xff), 4, rm_reg(R14)); // jmp
    emit_align(e, 16);
}
