/* SPDX-License-Identifier: MIT */
/*
 * Instructions that are copied: encoded anew with the host's registers for the guest's and a
 * checked operand for one in memory.
 */
#include "vmm/engines/recompiler/form.h"

static void lea(struct translation *t, const struct unit *u)
{
    struct emit *e = t->e;
    struct ea ea = operand_ea(t, u);
    unsigned to = in_memory(u->insn.reg) ? R14 : host_reg(u->insn.reg), base = NO_REG,
             index = NO_REG;
    bool narrow = ea.narrow || u->insn.opsize == 4;

    if (ea.base == INSN_RIP) {
        emit_load(e, R14, rm_mem(RSP, AT(page)));
        base = R14;
    } else if (ea.base != INSN_NO_REG) {
        base = host_reg(ea.base);
        if (in_memory(ea.base)) {
            emit_load(e, R14, gpr_slot(ea.base));
            base = R14;
        }
    }
    if (ea.index != INSN_NO_REG) {
        index = host_reg(ea.index);
        if (in_memory(ea.index)) {
            emit_load(e, R15, gpr_slot(ea.index));
            index = R15;
        }
    }
    emit_op(e, narrow ? OP32(0x8d) : OP64(0x8d), to,
            rm_mem_index(base, index, index == NO_REG ? 0 : ea.scale, ea.disp));
    if (to == R14)
        emit_store(e, gpr_slot(u->insn.reg), R14);
}

static void mov_imm(struct translation *t, const struct unit *u)
{
    struct emit *e = t->e;
    unsigned guest = u->insn.rm, size = u->insn.opcode < 0xb8 ? 1 : u->insn.opsize;
    bool slot = in_memory(guest);
    unsigned to = slot ? R14 : host_reg(guest);

    if (size >= 4) {
        emit_mov_imm(e, to, size == 4 ? (uint32_t)u->insn.imm : u->insn.imm);
        if (slot)
            emit_store(e, gpr_slot(guest), R14);
    } else {
        bool high = size == 1 && guest >= 4 && guest < 8 && !(u->insn.prefixes & INSN_REX);

        emit_op_imm(e, (struct op){.byte = size == 1 ? 0xc6 : 0xc7, .opsize = size == 2,
                                   .byte_regs = size == 1 && !high}, 0,
                    slot ? gpr_slot(guest) : rm_reg(high ? guest : to), u->insn.imm, size);
    }
}

/* XCHG of a register's two low bytes: AL and AH, ... */
static void swap_bytes(struct emit *e, unsigned low)
{
    emit_byte(e, 0x86);
    emit_byte(e, 0xc0 | low << 3 | (low + 4));
}

static void bswap(struct translation *t, const struct unit *u, const struct form *f)
{
    struct emit *e = t->e;
    unsigned reg = in_memory(f->rm) ? R14 : host_reg(f->rm);

    if (reg == R14)
        emit_load(e, R14, gpr_slot(f->rm));
    if (f->op.opsize)
        emit_byte(e, 0x66);
    emit_byte(e, 0x40u | (f->op.w ? 8 : 0) | reg >> 3);
    emit_byte(e, 0x0f);
    emit_byte(e, 0xc8 | (reg & 7));
    if (reg == R14)
        emit_store(e, gpr_slot(f->rm), R14);
    (void)u;
}

static struct ea ea_of(const struct translation *t, const struct unit *u)
{
    struct ea ea;

    if (form_operand(u, OC_MOFFS) < 0)
        return operand_ea(t, u);
    ea = operand_ea(t, u);
    ea.base = ea.index = INSN_NO_REG;
    ea.disp = (int32_t)u->insn.imm;
    return ea;
}

/* It reads flags, or leaves some alone that are still wanted while it changes others. */
static bool needs_flags(const struct unit *u)
{
    return u->effects.read || (u->effects.touched && (u->live_after & ~u->effects.written));
}

/* The instruction itself: operands are where they have to be. */
static void encode(struct translation *t, const struct unit *u, struct form *f, unsigned reg,
                   struct rm rm)
{
    unsigned high = NO_REG;
    uint64_t imm = u->insn.imm;

    if (form_is_high(u, f->reg_n, f->reg) && rm.memory) {
        high = reg - 4; // no REX goes with AH to BH
        swap_bytes(t->e, high);
        reg = high;
    }
    /* A register in the immediate is one of eight outside 64-bit code. */
    if (t->code_size == 4 && opcode_rows[u->insn.op].operand[3] == OPERAND_Lx)
        imm &= 0x7f;
    emit_op_imm(t->e, f->op, reg, rm, imm, f->imm_size);
    if (high != NO_REG)
        swap_bytes(t->e, high);
}

/* Stores that may go to two pages, in blocks made for that; those that lock the bus may not. */
static bool commits(const struct translation *t, const struct unit *u)
{
    return (t->mode & REC_MODE_PLAIN) && u->effects.writes && u->effects.size > 1 &&
           !(u->insn.prefixes & INSN_LOCK) && !form_exchanges(u);
}

/* See rec_fill(): past the stub that puts the bytes where they belong. Keeps the flags. */
static void commit(struct translation *t)
{
    struct emit *e = t->e;
    uint8_t *next;

    emit_byte(e, 0x4c); // lea r14, [rip + next]
    emit_byte(e, 0x8d);
    emit_byte(e, 0x35);
    next = e->out;
    emit_value(e, 0, 4);
    emit_op(e, OP32(0xff), 4, rm_mem(RSP, AT(after_store))); // jmp
    emit_set(e, next, emit_here(e));
}

/* BLSR and its like; MULX. */
static bool writes_vvvv(const struct unit *u, const struct form *f)
{
    return f->vvvv_n == 0 || form_is_op(u, MAP_V2, 0xf6);
}

static void general(struct translation *t, const struct unit *u, struct form *f)
{
    struct emit *e = t->e;
    bool memory = u->effects.size, reg_slot = f->reg_n >= 0 && in_memory(f->reg),
         rm_slot = f->rm_is_gpr && in_memory(f->rm), vvvv_slot = f->vvvv_n >= 0 && in_memory(f->vvvv),
         rm_loaded = rm_slot && form_wants_register(u, f);
    unsigned reg = f->reg_n < 0 || form_is_high(u, f->reg_n, f->reg) ? f->reg : host_reg(f->reg);
    struct rm rm = rm_reg(f->rm_is_gpr && !form_is_high(u, f->rm_n, f->rm) ? host_reg(f->rm) : f->rm);
    unsigned vvvv = memory ? R14 : R15; // scratch for it

    if (memory) {
        rm = operand_check(t, u, ea_of(t, u), u->effects.size,
                           (u->effects.writes ? REC_ACCESS_WRITE : 0) |
                               (commits(t, u) ? REC_ACCESS_COMMIT : 0));
        if (reg_slot || vvvv_slot || needs_flags(u))
            rm = operand_free_r14(t, rm);
        if (form_is_high(u, f->reg_n, f->reg)) {
            emit_lea(e, R15, rm);
            rm = rm_mem(R15, 0);
            if (t->unsure) { // while the register's bytes are in their places
                operand_note_trap(t, u);
                emit_op(e, (struct op){.map = 1, .byte = 0xb6}, R14, rm); // movzx
            }
        }
    }
    if (needs_flags(u))
        flags_to_host(t); // uses R14
    if (reg_slot) {
        if (f->reg_n != 0 || !form_only_writes(u))
            emit_load(e, R14, gpr_slot(f->reg));
        reg = R14;
    }
    if (rm_loaded) {
        if (f->rm_n != 0 || !form_only_writes(u))
            emit_load(e, R15, gpr_slot(f->rm));
        rm = rm_reg(R15);
    } else if (rm_slot) {
        rm = gpr_slot(f->rm);
    }
    if (vvvv_slot) {
        if (f->vvvv_n != 0)
            emit_load(e, vvvv, gpr_slot(f->vvvv));
        f->op.vvvv = (uint8_t)vvvv;
    } else if (f->vvvv_n >= 0) {
        f->op.vvvv = (uint8_t)host_reg(f->vvvv);
    }
    operand_note_trap(t, u);
    encode(t, u, f, reg, rm);
    if (u->effects.touched)
        t->flags = FLAGS_HOST;
    if (reg_slot && (f->reg_n == 0 || form_exchanges(u)))
        emit_store(e, gpr_slot(f->reg), R14);
    if (rm_loaded)
        emit_store(e, gpr_slot(f->rm), R15);
    if (vvvv_slot && writes_vvvv(u, f))
        emit_store(e, gpr_slot(f->vvvv), vvvv);
    if (commits(t, u))
        commit(t);
}

/* Opcodes without operands but fixed ones: as they are. */
static bool fixed(const struct unit *u)
{
    unsigned op = u->insn.opcode;

    if (u->insn.map == MAP_1)
        return (op < 0x40 && (op & 6) == 4) || op == 0x98 || op == 0x99 || op == 0x9b || op == 0x9e ||
               op == 0x9f || op == 0xa8 || op == 0xa9 || op == 0xf5 || op == 0xf8 || op == 0xf9;
    return (u->insn.map == MAP_0F || u->insn.map == MAP_V1) && op == 0x77;
}

static void copy_fixed(struct translation *t, const struct unit *u, const struct form *f)
{
    struct emit *e = t->e;

    if (needs_flags(u))
        flags_to_host(t);
    operand_note_trap(t, u);
    if (f->op.opsize)
        emit_byte(e, 0x66);
    if (f->op.w && !f->op.vex)
        emit_byte(e, 0x48);
    if (f->op.vex) {
        emit_byte(e, 0xc5);
        emit_byte(e, 0xf8u | (unsigned)f->op.l << 2);
    } else if (f->op.map) {
        emit_byte(e, 0x0f);
    }
    emit_byte(e, f->op.byte);
    emit_value(e, u->insn.imm, f->imm_size);
    if (u->effects.touched)
        t->flags = FLAGS_HOST;
}

/*
 * With one vCPU nobody else changes user code's memory, and an instruction is never half done: it
 * needs no lock. Locked operations on the stack are the idiom of a full barrier, which a program
 * that drives a device itself may need against the device's thread.
 */
static bool needs_lock(const struct translation *t, const struct unit *u)
{
    return !t->blocks->alone || !(t->mode & REC_MODE_USER) || u->insn.base == CPU_RSP;
}

void copy_emit(struct translation *t, const struct unit *u)
{
    struct form f = form_of(u);
    unsigned op = u->insn.opcode;

    f.op.lock = f.op.lock && needs_lock(t, u);
    if (u->effects.size && !operand_is_checked(u))
        flags_give_up(t, u->live_before);
    if (u->insn.map == MAP_1 && op == 0x8d)
        lea(t, u);
    else if (u->insn.map == MAP_1 && op >= 0xb0 && op <= 0xbf)
        mov_imm(t, u);
    else if (u->insn.map == MAP_0F && op >= 0xc8 && op <= 0xcf)
        bswap(t, u, &f);
    else if (fixed(u))
        copy_fixed(t, u, &f);
    else
        general(t, u, &f);
}

#define PEXT ((struct op){.map = 2, .byte = 0xf5, .pp = 2, .vex = true, .w = true})

/* An address of 32 bits is cut before the segment's base is added, which is done the other way round here. */
bool copy_can_bit(const struct translation *t, const struct unit *u)
{
    return t->blocks->bmi2 && u->insn.opsize >= 4 &&
           (u->insn.addrsize == t->code_size || (u->insn.addrsize == 4 && u->insn.segment < SEG_FS));
}

/*
 * The word that has the bit, by an arithmetic shift of its number; then the same instruction on
 * that word with the number modulo its size, cut out by PEXT, which leaves the flags alone.
 */
void copy_bit(struct translation *t, const struct unit *u)
{
    struct emit *e = t->e;
    const struct insn *i = &u->insn;
    bool wide = i->opsize == 8, slot = in_memory(i->reg);
    struct op load = {.byte = (uint8_t)(wide ? 0x8b : 0x63), .w = true}; // MOV or MOVSXD
    struct op op = {.map = 1, .byte = i->opcode, .w = wide, .lock = (i->prefixes & INSN_LOCK) && needs_lock(t, u)};
    struct op pext = PEXT;
    struct ea kept = {.base = INSN_NO_REG, .index = INSN_NO_REG, .kept = true};
    struct rm rm;

    flags_give_up(t, u->live_before);
    operand_address(t, operand_ea(t, u));
    emit_op(e, load, R15, slot ? gpr_slot(i->reg) : rm_reg(host_reg(i->reg)));
    emit_op_imm(e, OP64(0xc1), 7, rm_reg(R15), wide ? 6 : 5, 1); // sar
    emit_lea(e, R14, rm_mem_index(R14, R15, wide ? 3 : 2, 0));
    if (t->code_size == 4 || i->addrsize == 4)
        emit_op(e, OP32(0x8b), R14, rm_reg(R14));
    emit_store(e, rm_mem(RSP, AT(address)), R14);
    rm = operand_free_r14(t, operand_check(t, u, kept, i->opsize,
                                           u->effects.writes ? REC_ACCESS_WRITE : 0));
    if (needs_flags(u))
        flags_to_host(t);
    if (slot)
        emit_load(e, R14, gpr_slot(i->reg));
    pext.vvvv = (uint8_t)(slot ? R14 : host_reg(i->reg));
    emit_op(e, pext, R14, rm_mem(RSP, wide ? AT(bit_mask[1]) : AT(bit_mask[0])));
    emit_op(e, op, R14, rm);
    t->flags = FLAGS_HOST;
}
