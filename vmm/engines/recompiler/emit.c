/* SPDX-License-Identifier: MIT */
/* An assembler for the host. */
#include "vmm/engines/recompiler/emit.h"

#include "lib/string.h"

#define ROOM 32u // no single emission is longer

void emit_byte(struct emit *e, unsigned byte)
{
    if (e->end - e->out < (ptrdiff_t)ROOM) {
        e->full = true;
        return;
    }
    *e->out++ = (uint8_t)byte;
}

void emit_value(struct emit *e, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        emit_byte(e, (uint8_t)(value >> 8 * i));
}

/* ModRM, SIB and displacement. */
static void operand(struct emit *e, unsigned reg, struct rm rm)
{
    unsigned r = (reg & 7) << 3, mod;

    if (!rm.memory) {
        emit_byte(e, 0xc0u | r | (rm.reg & 7u));
        return;
    }
    if (rm.base == NO_REG) { // SIB without base, 32-bit displacement
        emit_byte(e, r | 4);
        emit_byte(e, (unsigned)rm.scale << 6 | (rm.index == NO_REG ? 4u : rm.index & 7u) << 3 | 5);
        emit_value(e, (uint32_t)rm.disp, 4);
        return;
    }
    mod = rm.disp == 0 && (rm.base & 7) != RBP ? 0 : rm.disp == (int8_t)rm.disp ? 1 : 2;
    if (rm.index == NO_REG && (rm.base & 7) != RSP) {
        emit_byte(e, mod << 6 | r | (rm.base & 7u));
    } else {
        emit_byte(e, mod << 6 | r | 4);
        emit_byte(e, (unsigned)rm.scale << 6 | (rm.index == NO_REG ? 4u : rm.index & 7u) << 3 |
                         (rm.base & 7u));
    }
    if (mod)
        emit_value(e, (uint32_t)rm.disp, mod == 1 ? 1 : 4);
}

/* R, X and B of a REX or VEX prefix in bits 2:0. */
static unsigned extensions(unsigned reg, struct rm rm)
{
    unsigned rxb = reg >> 3 & 1 ? 4 : 0;

    if (!rm.memory)
        return rxb | (rm.reg >> 3 & 1);
    if (rm.index != NO_REG)
        rxb |= rm.index >> 3 & 1 ? 2 : 0;
    if (rm.base != NO_REG)
        rxb |= rm.base >> 3 & 1;
    return rxb;
}

static void legacy(struct emit *e, struct op op, unsigned rxb)
{
    static const uint8_t prefix[4] = {0, 0x66, 0xf3, 0xf2};

    if (op.lock)
        emit_byte(e, 0xf0);
    if (op.opsize)
        emit_byte(e, 0x66);
    if (op.pp)
        emit_byte(e, prefix[op.pp]);
    if (rxb || op.w || op.byte_regs)
        emit_byte(e, 0x40u | (op.w ? 8 : 0) | rxb);
    if (op.map)
        emit_byte(e, 0x0f);
    if (op.map > 1)
        emit_byte(e, op.map == 2 ? 0x38 : 0x3a);
    emit_byte(e, op.byte);
}

static void vex(struct emit *e, struct op op, unsigned rxb)
{
    emit_byte(e, 0xc4);
    emit_byte(e, (~rxb & 7u) << 5 | op.map);
    emit_byte(e, (op.w ? 0x80u : 0) | (~(unsigned)op.vvvv & 15u) << 3 | (unsigned)op.l << 2 | op.pp);
    emit_byte(e, op.byte);
}

void emit_op(struct emit *e, struct op op, unsigned reg, struct rm rm)
{
    unsigned rxb = extensions(reg, rm);

    if (reg == R15 || (!rm.memory && rm.reg == R15) || (op.vex && op.vvvv == R15))
        e->r15_used = true;
    if (rm.memory && rm.gs)
        emit_byte(e, 0x65);
    if (op.vex)
        vex(e, op, rxb);
    else
        legacy(e, op, rxb);
    operand(e, reg, rm);
}

void emit_op_imm(struct emit *e, struct op op, unsigned reg, struct rm rm, uint64_t imm,
                 unsigned size)
{
    emit_op(e, op, reg, rm);
    emit_value(e, imm, size);
}

void emit_mov(struct emit *e, unsigned to, unsigned from)
{
    emit_op(e, OP64(0x8b), to, rm_reg(from));
}

void emit_load(struct emit *e, unsigned to, struct rm from)
{
    emit_op(e, OP64(0x8b), to, from);
}

void emit_store(struct emit *e, struct rm to, unsigned from)
{
    emit_op(e, OP64(0x89), from, to);
}

void emit_store_imm(struct emit *e, struct rm to, uint32_t value)
{
    emit_op_imm(e, OP32(0xc7), 0, to, value, 4);
}

void emit_lea(struct emit *e, unsigned to, struct rm of)
{
    emit_op(e, OP64(0x8d), to, of);
}

void emit_mov_imm(struct emit *e, unsigned to, uint64_t value)
{
    if (to == R15)
        e->r15_used = true;
    if (value == (uint32_t)value) {
        if (to >= 8)
            emit_byte(e, 0x41);
        emit_byte(e, 0xb8 | (to & 7));
        emit_value(e, value, 4);
        return;
    }
    emit_byte(e, 0x48 | to >> 3);
    emit_byte(e, 0xb8 | (to & 7));
    emit_value(e, value, 8);
}

/* The long forms that the manual recommends (SDM volume 2, NOP). */
void emit_nops(struct emit *e, unsigned bytes)
{
    static const uint8_t nop[9][8] = {
        {0}, {0x90}, {0x66, 0x90}, {0x0f, 0x1f, 0x00}, {0x0f, 0x1f, 0x40, 0x00},
        {0x0f, 0x1f, 0x44, 0x00, 0x00}, {0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00},
        {0x0f, 0x1f, 0x80, 0, 0, 0, 0}, {0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0},
    };

    while (bytes) {
        unsigned n = bytes < 8 ? bytes : 8;

        for (unsigned i = 0; i < n; i++)
            emit_byte(e, nop[n][i]);
        bytes -= n;
    }
}

void emit_align(struct emit *e, unsigned to)
{
    emit_nops(e, (unsigned)(-emit_here(e) & (to - 1)));
}

void emit_set(struct emit *e, uint8_t *displacement, uint64_t target)
{
    uint64_t next = (uint64_t)(uintptr_t)displacement + (uint64_t)e->executable + 4;
    uint32_t value = (uint32_t)(target - next);

    if (!e->full)
        memcpy(displacement, &value, sizeof(value));
}

static uint8_t *displacement(struct emit *e)
{
    uint8_t *at = e->out;

    emit_value(e, 0, 4);
    return at;
}

uint8_t *emit_jmp_later(struct emit *e)
{
    emit_byte(e, 0xe9);
    return displacement(e);
}

uint8_t *emit_jcc_later(struct emit *e, unsigned condition)
{
    emit_byte(e, 0x0f);
    emit_byte(e, 0x80 | condition);
    return displacement(e);
}

void emit_jmp(struct emit *e, uint64_t target)
{
    emit_set(e, emit_jmp_later(e), target);
}

void emit_jcc(struct emit *e, unsigned condition, uint64_t target)
{
    emit_set(e, emit_jcc_later(e, condition), target);
}

void emit_call(struct emit *e, uint64_t target)
{
    emit_byte(e, 0xe8);
    emit_set(e, displacement(e), target);
}
