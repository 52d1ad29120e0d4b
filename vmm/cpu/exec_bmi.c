/* SPDX-License-Identifier: MIT */
/* Handlers: BMI1, BMI2 and CRC32 (SDM volume 2). Operands are of 32 or 64 bits. */
#include "vmm/cpu/exec.h"

/* VEX encodings are not for real and virtual-8086 mode. */
static enum interp_status enter(struct interp *c)
{
    return exec_protected(c) ? INTERP_DONE : exec_fault(c, EXCEPTION_UD);
}

/* AF and PF are undefined, and 0. */
static void set_flags(struct interp *c, uint64_t result, unsigned size, bool carry)
{
    uint64_t flags = alu_flags_of(result, size) & (RFLAGS_ZF | RFLAGS_SF);

    c->state->rflags = (c->state->rflags & ~RFLAGS_STATUS) | flags | (carry ? RFLAGS_CF : 0);
}

enum interp_status exec_andn(struct interp *c)
{
    unsigned size = exec_operand_size(c, 0);
    uint64_t a, b;

    TRY(enter(c));
    TRY(exec_get(c, 1, &a));
    TRY(exec_get(c, 2, &b));
    set_flags(c, ~a & b, size, false);
    return exec_set(c, 0, ~a & b);
}

static enum interp_status lowest_bit(struct interp *c, uint64_t (*fn)(uint64_t), bool carry_if_zero)
{
    unsigned size = exec_operand_size(c, 0);
    uint64_t a, result;

    TRY(enter(c));
    TRY(exec_get(c, 1, &a));
    result = fn(a) & alu_mask(size);
    set_flags(c, result, size, (a == 0) == carry_if_zero);
    return exec_set(c, 0, result);
}

static uint64_t reset_lowest(uint64_t a)   { return a & (a - 1); }
static uint64_t mask_to_lowest(uint64_t a) { return a ^ (a - 1); }
static uint64_t isolate_lowest(uint64_t a) { return a & -a; }

enum interp_status exec_blsr(struct interp *c)   { return lowest_bit(c, reset_lowest, true); }
enum interp_status exec_blsmsk(struct interp *c) { return lowest_bit(c, mask_to_lowest, true); }
enum interp_status exec_blsi(struct interp *c)   { return lowest_bit(c, isolate_lowest, false); }

enum interp_status exec_bzhi(struct interp *c)
{
    unsigned size = exec_operand_size(c, 0);
    uint64_t a, index;

    TRY(enter(c));
    TRY(exec_get(c, 1, &a));
    TRY(exec_get(c, 2, &index));
    index &= 0xff;
    if (index < 8 * size)
        a &= (1ull << index) - 1;
    set_flags(c, a, size, index >= 8 * size);
    return exec_set(c, 0, a);
}

enum interp_status exec_bextr(struct interp *c)
{
    unsigned size = exec_operand_size(c, 0);
    uint64_t a, control, start, length;

    TRY(enter(c));
    TRY(exec_get(c, 1, &a));
    TRY(exec_get(c, 2, &control));
    start = control & 0xff;
    length = control >> 8 & 0xff;
    a = start < 64 ? a >> start : 0;
    if (length < 64)
        a &= (1ull << length) - 1;
    set_flags(c, a, size, false);
    return exec_set(c, 0, a);
}

enum interp_status exec_pext(struct interp *c)
{
    uint64_t a, mask, result = 0;

    TRY(enter(c));
    TRY(exec_get(c, 1, &a));
    TRY(exec_get(c, 2, &mask));
    for (uint64_t bit = 1; mask; mask &= mask - 1, bit <<= 1)
        if (a & mask & -mask)
            result |= bit;
    return exec_set(c, 0, result);
}

enum interp_status exec_pdep(struct interp *c)
{
    uint64_t a, mask, result = 0;

    TRY(enter(c));
    TRY(exec_get(c, 1, &a));
    TRY(exec_get(c, 2, &mask));
    for (; mask; mask &= mask - 1, a >>= 1)
        if (a & 1)
            result |= mask & -mask;
    return exec_set(c, 0, result);
}

/* The high half goes to the first operand, last, so that it wins where both are one register. */
enum interp_status exec_mulx(struct interp *c)
{
    unsigned size = exec_operand_size(c, 0);
    uint64_t b, low, high, flags = 0;

    TRY(enter(c));
    TRY(exec_get(c, 2, &b));
    low = alu_mul(exec_get_reg(c, CPU_RDX, size), b, size, &high, &flags);
    exec_set_reg(c, c->insn.vvvv, size, low);
    return exec_set(c, 0, high);
}

/* RORX, SARX, SHLX, SHRX change no flags. */
static enum interp_status shift_without_flags(struct interp *c, alu_fn *fn)
{
    uint64_t a, count, flags = 0;

    TRY(enter(c));
    TRY(exec_get(c, 1, &a));
    TRY(exec_get(c, 2, &count));
    return exec_set(c, 0, fn(a, count, exec_operand_size(c, 0), &flags));
}

enum interp_status exec_rorx(struct interp *c) { return shift_without_flags(c, alu_ror); }
enum interp_status exec_sarx(struct interp *c) { return shift_without_flags(c, alu_sar); }
enum interp_status exec_shlx(struct interp *c) { return shift_without_flags(c, alu_shl); }
enum interp_status exec_shrx(struct interp *c) { return shift_without_flags(c, alu_shr); }

/* CRC-32C, bit by bit, least significant first. */
enum interp_status exec_crc32(struct interp *c)
{
    unsigned size = exec_operand_size(c, 1);
    uint64_t value, crc;

    TRY(exec_get(c, 1, &value));
    crc = exec_get_reg(c, c->insn.reg, 4);
    for (unsigned i = 0; i < 8 * size; i++, value >>= 1)
        crc = crc >> 1 ^ ((crc ^ value) & 1 ? 0x82f63b78u : 0);
    exec_set_reg(c, c->insn.reg, 4, crc);
    return INTERP_DONE;
}
