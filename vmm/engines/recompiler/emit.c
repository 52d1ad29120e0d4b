/* SPDX-License-Identifier: MIT */
/* An assembler for the host. */
#include "vmm/engines/recompiler/emit.h"

#include "lib/string.h"

#define ROOM 32u // no single emission is longer

/* Where the next bytes go; NULL: there is no room. */
static inline uint8_t *room(struct emit *e)
{
    if (e->end - e->out >= (ptrdiff_t)ROOM)
        return e->out;
    e->full = true;
    return NULL;
}

static inline uint8_t *put(uint8_t *at, unsigned byte)
{
    *at = (uint8_t)byte;
    return at + 1;
}

/* Writes eight bytes, of which `size` count. */
static inline uint8_t *put_value(uint8_t *at, uint64_t value, unsigned size)
{
    memcpy(at, &value, sizeof(value));
    return at + size;
}

void emit_byte(struct emit *e, unsigned byte)
{
    uint8_t *at = room(e);

    if (at)
        e->out = put(at, byte);
}

void emit_value(struct emit *e, uint64_t value, unsigned size)
{
    uint8_t *at = room(e);

    if (at)
        e->out = put_value(at, value, size);
}

/* ModRM, SIB and displacement. */
static uint8_t *operand(uint8_t *at, unsigned reg, struct rm rm)
{
    unsigned r = (reg & 7) << 3, mod;

    if (!rm.memory)
        return put(at, 0xc0u | r | (rm.reg & 7u));
    if (rm.base == NO_REG) { // SIB without base, 32-bit displacement
        at = put(at, r | 4);
        at = put(at, (unsigned)rm.scale << 6 | (rm.index == NO_REG ? 4u : rm.index & 7u) << 3 | 5);
        return put_value(at, (uint32_t)rm.disp, 4);
    }
    mod = rm.disp == 0 && (rm.base & 7) != RBP ? 0 : rm.disp == (int8_t)rm.disp ? 1 : 2;
    if (rm.index == NO_REG && (rm.base & 7) != RSP) {
        at = put(at, mod << 6 | r | (rm.base & 7u));
    } else {
        at = put(at, mod << 6 | r | 4);
        at = put(at, (unsigned)rm.scale << 6 | (rm.index == NO_REG ? 4u : rm.index & 7u) << 3 |
                         (rm.base & 7u));
    }
    return mod == 0 ? at : put_value(at, (uint32_t)rm.disp, mod == 1 ? 1 : 4);
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

static uint8_t *legacy(uint8_t *at, struct op op, unsigned rxb)
{
    static const uint8_t prefix[4] = {0, 0x66, 0xf3, 0xf2};

    if (op.lock)
        at = put(at, 0xf0);
    if (op.opsize)
        at = put(at, 0x66);
    if (op.pp)
        at = put(at, prefix[op.pp]);
    if (rxb || op.w || op.byte_regs)
        at = put(at, 0x40u | (op.w ? 8 : 0) | rxb);
    if (op.map)
        at = put(at, 0x0f);
    if (op.map > 1)
        at = put(at, op.map == 2 ? 0x38 : 0x3a);
    return put(at, op.byte);
}

static uint8_t *vex(uint8_t *at, struct op op, unsigned rxb)
{
    at = put(at, 0xc4);
    at = put(at, (~rxb & 7u) << 5 | op.map);
    at = put(at, (op.w ? 0x80u : 0) | (~(unsigned)op.vvvv & 15u) << 3 | (unsigned)op.l << 2 | op.pp);
    return put(at, op.byte);
}

void emit_op_imm(struct emit *e, struct op op, unsigned reg, struct rm rm, uint64_t imm,
                 unsigned size)
{
    unsigned rxb = extensions(reg, rm);
    uint8_t *at = room(e);

    if (reg == R15 || (!rm.memory && rm.reg == R15) || (op.vex && op.vvvv == R15))
        e->r15_used = true;
    if (!at)
        return;
    if (rm.memory && rm.gs)
        at = put(at, 0x65);
    at = op.vex ? vex(at, op, rxb) : legacy(at, op, rxb);
    e->out = put_value(operand(at, reg, rm), imm, size);
}

void emit_op(struct emit *e, struct op op, unsigned reg, struct rm rm)
{
    emit_op_imm(e, op, reg, rm, 0, 0);
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
    static const uint8_t nop[9][sizeof(uint64_t)] = {
        {0}, {0x90}, {0x66, 0x90}, {0x0f, 0x1f, 0x00}, {0x0f, 0x1f, 0x40, 0x00},
        {0x0f, 0x1f, 0x44, 0x00, 0x00}, {0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00},
        {0x0f, 0x1f, 0x80, 0, 0, 0, 0}, {0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0},
    };

    while (bytes) {
        unsigned n = bytes < 8 ? bytes : 8;
        uint64_t value;

        memcpy(&value, nop[n], sizeof(value));
        emit_value(e, value, n);
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
