/* SPDX-License-Identifier: MIT */
/*
 * Handlers: moves between vector or MMX registers, general registers and memory (SDM volume 2).
 */
#include "vmm/cpu/xstate.h"

#include "lib/string.h"

static bool is_vex(const struct interp *c)
{
    return c->insn.map >= MAP_V1;
}

static unsigned vector_length(const struct interp *c)
{
    return c->insn.vl ? 32 : 16;
}

/* Loads and stores of whole registers. */
static enum interp_status load_vector(struct interp *c, bool aligned)
{
    unsigned size = vector_length(c);
    uint8_t value[32];

    TRY(xstate_enter_vector(c));
    if (c->insn.memory)
        TRY(xstate_load(c, size, aligned, value));
    else
        xstate_get_vector(c, c->insn.rm, size, value);
    xstate_set_vector(c, c->insn.reg, size, value);
    return INTERP_DONE;
}

static enum interp_status store_vector(struct interp *c, bool aligned)
{
    unsigned size = vector_length(c);
    uint8_t value[32];

    TRY(xstate_enter_vector(c));
    xstate_get_vector(c, c->insn.reg, size, value);
    if (c->insn.memory)
        return xstate_store(c, size, aligned, value);
    xstate_set_vector(c, c->insn.rm, size, value);
    return INTERP_DONE;
}

enum interp_status exec_vload(struct interp *c)          { return load_vector(c, false); }
enum interp_status exec_vload_aligned(struct interp *c)  { return load_vector(c, true); }
enum interp_status exec_vstore(struct interp *c)         { return store_vector(c, false); }
enum interp_status exec_vstore_aligned(struct interp *c) { return store_vector(c, true); }

/*
 * Moves of the low 4 or 8 bytes. From memory, and for MOVQ, the rest of the register becomes zero;
 * between registers MOVSS and MOVSD keep the destination's (or, with VEX, take operand vvvv's)
 * rest.
 */
static enum interp_status load_scalar(struct interp *c, unsigned size, bool merge)
{
    uint8_t value[16] = {0};

    TRY(xstate_enter_vector(c));
    if (c->insn.memory) {
        TRY(xstate_load(c, size, false, value));
    } else {
        if (merge)
            xstate_get_vector(c, is_vex(c) ? c->insn.vvvv : c->insn.reg, 16, value);
        xstate_get_vector(c, c->insn.rm, size, value);
    }
    xstate_set_vector(c, c->insn.reg, 16, value);
    return INTERP_DONE;
}

static enum interp_status store_scalar(struct interp *c, unsigned size, bool merge)
{
    uint8_t value[16] = {0};

    TRY(xstate_enter_vector(c));
    if (!c->insn.memory && merge)
        xstate_get_vector(c, is_vex(c) ? c->insn.vvvv : c->insn.rm, 16, value);
    xstate_get_vector(c, c->insn.reg, size, value);
    if (c->insn.memory)
        return xstate_store(c, size, false, value);
    xstate_set_vector(c, c->insn.rm, 16, value);
    return INTERP_DONE;
}

enum interp_status exec_movss_load(struct interp *c)  { return load_scalar(c, 4, true); }
enum interp_status exec_movsd_load(struct interp *c)  { return load_scalar(c, 8, true); }
enum interp_status exec_movss_store(struct interp *c) { return store_scalar(c, 4, true); }
enum interp_status exec_movsd_store(struct interp *c) { return store_scalar(c, 8, true); }
enum interp_status exec_movq_load(struct interp *c)   { return load_scalar(c, 8, false); }
enum interp_status exec_movq_store(struct interp *c)  { return store_scalar(c, 8, false); }

/*
 * MOVLPS, MOVHPS and the like: one half from or to memory; `half` 0 is low. The register form of
 * the loads is MOVHLPS, MOVLHPS.
 */
static enum interp_status load_half(struct interp *c, unsigned half)
{
    uint8_t value[16], other[16];

    TRY(xstate_enter_vector(c));
    xstate_get_vector(c, is_vex(c) ? c->insn.vvvv : c->insn.reg, 16, value);
    if (c->insn.memory) {
        TRY(xstate_load(c, 8, false, value + 8 * half));
    } else {
        xstate_get_vector(c, c->insn.rm, 16, other);
        memcpy(value + 8 * half, other + 8 * (1 - half), 8);
    }
    xstate_set_vector(c, c->insn.reg, 16, value);
    return INTERP_DONE;
}

static enum interp_status store_half(struct interp *c, unsigned half)
{
    uint8_t value[16];

    TRY(xstate_enter_vector(c));
    xstate_get_vector(c, c->insn.reg, 16, value);
    return xstate_store(c, 8, false, value + 8 * half);
}

enum interp_status exec_movl_load(struct interp *c)  { return load_half(c, 0); }
enum interp_status exec_movh_load(struct interp *c)  { return load_half(c, 1); }
enum interp_status exec_movl_store(struct interp *c) { return store_half(c, 0); }
enum interp_status exec_movh_store(struct interp *c) { return store_half(c, 1); }

/* MOVD and MOVQ between a vector register and a general one or memory, by REX.W. */
enum interp_status exec_movd_load(struct interp *c)
{
    uint8_t value[16] = {0};
    uint64_t from;

    TRY(xstate_enter_vector(c));
    TRY(exec_get(c, 1, &from));
    memcpy(value, &from, 8);
    xstate_set_vector(c, c->insn.reg, 16, value);
    return INTERP_DONE;
}

enum interp_status exec_movd_store(struct interp *c)
{
    uint64_t value;

    TRY(xstate_enter_vector(c));
    xstate_get_vector(c, c->insn.reg, 8, (uint8_t *)&value);
    return exec_set(c, 0, value & alu_mask(exec_operand_size(c, 0)));
}

enum interp_status exec_movd_mmx_load(struct interp *c)
{
    uint64_t value;

    TRY(xstate_enter_mmx(c));
    TRY(exec_get(c, 1, &value));
    xstate_set_mmx(c, c->insn.reg & 7, value);
    return INTERP_DONE;
}

enum interp_status exec_movd_mmx_store(struct interp *c)
{
    uint64_t value;

    TRY(xstate_enter_mmx(c));
    value = xstate_get_mmx(c, c->insn.reg & 7);
    TRY(exec_set(c, 0, value & alu_mask(exec_operand_size(c, 0))));
    xstate_use_mmx(c);
    return INTERP_DONE;
}

enum interp_status exec_movq_mmx_load(struct interp *c)
{
    uint64_t value;

    TRY(xstate_enter_mmx(c));
    if (c->insn.memory)
        TRY(xstate_load(c, 8, false, (uint8_t *)&value));
    else
        value = xstate_get_mmx(c, c->insn.rm & 7);
    xstate_set_mmx(c, c->insn.reg & 7, value);
    return INTERP_DONE;
}

enum interp_status exec_movq_mmx_store(struct interp *c)
{
    uint64_t value;

    TRY(xstate_enter_mmx(c));
    value = xstate_get_mmx(c, c->insn.reg & 7);
    if (c->insn.memory) {
        TRY(xstate_store(c, 8, false, (const uint8_t *)&value));
        xstate_use_mmx(c);
    } else {
        xstate_set_mmx(c, c->insn.rm & 7, value);
    }
    return INTERP_DONE;
}

enum interp_status exec_emms(struct interp *c)
{
    TRY(xstate_enter_mmx(c));
    xstate_use_mmx(c);
    c->state->xsave[XSAVE_FTW] = 0;
    return INTERP_DONE;
}

enum interp_status exec_ldmxcsr(struct interp *c)
{
    uint64_t value;

    TRY(xstate_enter_vector(c));
    TRY(exec_get(c, 0, &value));
    if (value & ~(uint64_t)MXCSR_VALID)
        return exec_gp0(c);
    xstate_set_mxcsr(c, (uint32_t)value);
    return INTERP_DONE;
}

enum interp_status exec_stmxcsr(struct interp *c)
{
    TRY(xstate_enter_vector(c));
    return exec_set(c, 0, xstate_mxcsr(c));
}

/* MASKMOVQ, MASKMOVDQU: the bytes whose mask byte has its top bit set; others are not touched. */
static enum interp_status store_masked(struct interp *c, const uint8_t *value, const uint8_t *mask,
                                       unsigned size)
{
    unsigned segment = c->insn.override ? c->insn.override - 1u : (unsigned)SEG_DS;
    uint64_t address = c->state->gpr[CPU_RDI], limit = alu_mask(c->insn.addrsize);
    struct access a[16];

    for (unsigned i = 0; i < size; i++)
        if (mask[i] & 0x80)
            TRY(exec_access(c, segment, (address + i) & limit, 1, ACCESS_WRITE, &a[i]));
    for (unsigned i = 0; i < size; i++)
        if (mask[i] & 0x80)
            exec_store_bytes(c, &a[i], value + i);
    return INTERP_DONE;
}

enum interp_status exec_maskmovdqu(struct interp *c)
{
    uint8_t value[16], mask[16];

    TRY(xstate_enter_vector(c));
    xstate_get_vector(c, c->insn.reg, 16, value);
    xstate_get_vector(c, c->insn.rm, 16, mask);
    return store_masked(c, value, mask, 16);
}

enum interp_status exec_maskmovq(struct interp *c)
{
    uint64_t value, mask;

    TRY(xstate_enter_mmx(c));
    value = xstate_get_mmx(c, c->insn.reg & 7);
    mask = xstate_get_mmx(c, c->insn.rm & 7);
    TRY(store_masked(c, (const uint8_t *)&value, (const uint8_t *)&mask, 8));
    xstate_use_mmx(c);
    return INTERP_DONE;
}
