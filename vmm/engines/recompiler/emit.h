/* SPDX-License-Identifier: MIT */
/*
 * Inside the recompiler: an assembler for the host (SDM volume 2, chapter 2).
 *
 * Bytes are written at their writable address and count at their executable one. Emitting past the
 * end of the buffer sets `full` and writes nothing more.
 */
#ifndef VMM_ENGINES_RECOMPILER_EMIT_H
#define VMM_ENGINES_RECOMPILER_EMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15, NO_REG = 0xff };

struct emit {
    uint8_t *out;        // writable address of the next byte
    uint8_t *end;
    ptrdiff_t executable; // + writable address = executable one
    bool full;
    bool r15_used;       // as a register of any kind, not only to address memory; for who clears it
};

/* A register or a memory operand. */
struct rm {
    bool memory;
    uint8_t reg;         // not memory
    uint8_t base, index; // or NO_REG; an index is never RSP
    uint8_t scale;
    bool gs;
    int32_t disp;
};

/* An instruction's encoding but for registers, operand and immediate. */
struct op {
    uint8_t map;     // 0: one byte, 1: 0F, 2: 0F38, 3: 0F3A
    uint8_t byte;
    uint8_t pp;      // prefix 1: 66, 2: F3, 3: F2
    bool w;          // REX.W, VEX.W
    bool opsize;     // prefix 66 besides pp
    bool lock;
    bool byte_regs;  // a register 4 to 7 is SPL to DIL: needs a REX
    bool vex;
    uint8_t vvvv;    // VEX
    uint8_t l;       // VEX
};

static inline struct rm rm_reg(unsigned reg)
{
    return (struct rm){.reg = (uint8_t)reg};
}

static inline struct rm rm_mem(unsigned base, int32_t disp)
{
    return (struct rm){.memory = true, .base = (uint8_t)base, .index = NO_REG, .disp = disp};
}

static inline struct rm rm_mem_index(unsigned base, unsigned index, unsigned scale, int32_t disp)
{
    return (struct rm){.memory = true, .base = (uint8_t)base, .index = (uint8_t)index,
                       .scale = (uint8_t)scale, .disp = disp};
}

static inline struct rm rm_gs(struct rm rm)
{
    rm.gs = true;
    return rm;
}

static inline uint64_t emit_here(const struct emit *e)
{
    return (uint64_t)(uintptr_t)e->out + (uint64_t)e->executable;
}

void emit_byte(struct emit *e, unsigned byte);
void emit_value(struct emit *e, uint64_t value, unsigned size);
/* One-byte-opcode shorthands take a struct op made by OP1(). */
void emit_op(struct emit *e, struct op op, unsigned reg, struct rm rm);
/* The same with an immediate behind it, of `size` bytes. */
void emit_op_imm(struct emit *e, struct op op, unsigned reg, struct rm rm, uint64_t imm,
                 unsigned size);

#define OP32(b) ((struct op){.byte = (b)})
#define OP64(b) ((struct op){.byte = (b), .w = true})

void emit_mov(struct emit *e, unsigned to, unsigned from);           // 64 bits
void emit_load(struct emit *e, unsigned to, struct rm from);         // 64 bits
void emit_store(struct emit *e, struct rm to, unsigned from);        // 64 bits
void emit_store_imm(struct emit *e, struct rm to, uint32_t value);   // 32 bits
void emit_lea(struct emit *e, unsigned to, struct rm of);            // 64 bits
void emit_mov_imm(struct emit *e, unsigned to, uint64_t value);
void emit_nops(struct emit *e, unsigned bytes);
void emit_align(struct emit *e, unsigned to);

/* Jumps: to a known target; or to one that is set later. */
void emit_jmp(struct emit *e, uint64_t target);
void emit_call(struct emit *e, uint64_t target);
void emit_jcc(struct emit *e, unsigned condition, uint64_t target);
uint8_t *emit_jmp_later(struct emit *e);                    // returns its displacement's place
uint8_t *emit_jcc_later(struct emit *e, unsigned condition);
/* Sets a displacement, here or where the target is. */
void emit_set(struct emit *e, uint8_t *displacement, uint64_t target);

enum { CC_O, CC_NO, CC_B, CC_AE, CC_E, CC_NE, CC_BE, CC_A };

#endif
