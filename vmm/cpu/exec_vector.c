/* SPDX-License-Identifier: MIT */
/*
 * Handlers: moves between vector or MMX registers, general registers and memory (SDM volume 2).
 * Registers live in the state's XSAVE image: x87 and SSE at 0, AVX's upper halves at 576; a
 * component whose bit in XSTATE_BV is clear is in its initial state.
 */
#include "vmm/cpu/exec.h"

#include "lib/string.h"

#define XSAVE_MXCSR  24u
#define XSAVE_ST     32u
#define XSAVE_XMM    160u
#define XSAVE_BV     512u
#define XSAVE_YMMH   576u
#define XSTATE_X87   1ull
#define XSTATE_SSE   2ull
#define XSTATE_AVX   4ull
#define MXCSR_INIT   0x1f80u
#define MXCSR_VALID  0xffffu

static uint64_t present_components(const struct interp *c)
{
    uint64_t bits;

    memcpy(&bits, c->state->xsave + XSAVE_BV, sizeof bits);
    return bits;
}

/* Makes a component present: from its initial state if it was not. */
static uint8_t *component(struct interp *c, uint64_t bit)
{
    uint64_t bits = present_components(c);
    uint8_t *image = c->state->xsave;

    if (!(bits & bit)) {
        if (bit == XSTATE_X87) {
            memset(image, 0, XSAVE_MXCSR);
            memset(image + XSAVE_ST, 0, 128);
            image[0] = 0x7f; // FCW = 037Fh
            image[1] = 0x03;
        } else if (bit == XSTATE_SSE) {
            memset(image + XSAVE_XMM, 0, 256);
        } else {
            memset(image + XSAVE_YMMH, 0, 256);
        }
        bits |= bit;
        memcpy(image + XSAVE_BV, &bits, sizeof bits);
    }
    return image;
}

static bool is_vex(const struct interp *c)
{
    return c->insn.map >= MAP_V1;
}

/* The state's gates (SDM volume 3, 2.5 and 13.1; volume 1, 14.3), then the group. */
static enum interp_status enter(struct interp *c, bool mmx)
{
    uint64_t cr0 = c->state->cr0, cr4 = c->state->cr4;

    exec_need(c, CPU_XSTATE);
    if (is_vex(c)) {
        if (!(c->state->cr0 & CR0_PE) || (c->state->rflags & RFLAGS_VM) || !(cr4 & CR4_OSXSAVE) ||
            (c->state->xcr0 & 6) != 6)
            return exec_fault(c, EXCEPTION_UD);
    } else if ((cr0 & CR0_EM) || (!mmx && !(cr4 & CR4_OSFXSR))) {
        return exec_fault(c, EXCEPTION_UD);
    }
    if (cr0 & CR0_TS)
        return exec_fault(c, EXCEPTION_NM);
    return INTERP_DONE;
}

static void get_vector(struct interp *c, unsigned reg, unsigned size, uint8_t *to)
{
    uint64_t bits = present_components(c);

    memset(to, 0, size);
    if (bits & XSTATE_SSE)
        memcpy(to, c->state->xsave + XSAVE_XMM + 16 * reg, size < 16 ? size : 16);
    if (size == 32 && (bits & XSTATE_AVX))
        memcpy(to + 16, c->state->xsave + XSAVE_YMMH + 16 * reg, 16);
}

/*
 * Writes the low `size` bytes; a VEX instruction clears the rest of the register, AVX-512's part
 * excepted: it is not offered.
 */
static void set_vector(struct interp *c, unsigned reg, unsigned size, const uint8_t *from)
{
    uint8_t *low, *high;

    c->state->dirty |= CPU_XSTATE;
    low = component(c, XSTATE_SSE) + XSAVE_XMM + 16 * reg;
    memcpy(low, from, size < 16 ? size : 16);
    if (!is_vex(c))
        return;
    if (size < 16)
        memset(low + size, 0, 16 - size);
    high = component(c, XSTATE_AVX) + XSAVE_YMMH + 16 * reg;
    if (size == 32)
        memcpy(high, from + 16, 16);
    else
        memset(high, 0, 16);
}

/*
 * MMX registers are the x87 mantissas; touching one marks all as valid and the top as 0, exponents
 * all ones (SDM volume 3, 12.2).
 */
static uint8_t *mmx(struct interp *c, unsigned reg)
{
    uint8_t *image;

    c->state->dirty |= CPU_XSTATE;
    image = component(c, XSTATE_X87);
    image[3] &= 0xc7; // TOP = 0
    image[4] = 0xff;  // abridged tag word: all valid
    return image + XSAVE_ST + 16 * (reg & 7);
}

static void set_mmx(struct interp *c, unsigned reg, const uint8_t *from)
{
    uint8_t *to = mmx(c, reg);

    memcpy(to, from, 8);
    to[8] = to[9] = 0xff;
}

static unsigned vector_length(const struct interp *c)
{
    return c->insn.vl ? 32 : 16;
}

static enum interp_status store(struct interp *c, unsigned size, bool aligned, const uint8_t *from)
{
    struct access a;

    TRY(exec_access(c, c->insn.segment, exec_address(c), size,
                    ACCESS_WRITE | (aligned ? ACCESS_ALIGNED : 0), &a));
    exec_store_bytes(c, &a, from);
    return INTERP_DONE;
}

static enum interp_status load(struct interp *c, unsigned size, bool aligned, uint8_t *to)
{
    struct access a;

    TRY(exec_access(c, c->insn.segment, exec_address(c), size, aligned ? ACCESS_ALIGNED : 0, &a));
    exec_load_bytes(c, &a, to);
    return INTERP_DONE;
}

/* Loads and stores of whole registers. */
static enum interp_status load_vector(struct interp *c, bool aligned)
{
    unsigned size = vector_length(c);
    uint8_t value[32];

    TRY(enter(c, false));
    if (c->insn.memory)
        TRY(load(c, size, aligned, value));
    else
        get_vector(c, c->insn.rm, size, value);
    set_vector(c, c->insn.reg, size, value);
    return INTERP_DONE;
}

static enum interp_status store_vector(struct interp *c, bool aligned)
{
    unsigned size = vector_length(c);
    uint8_t value[32];

    TRY(enter(c, false));
    get_vector(c, c->insn.reg, size, value);
    if (c->insn.memory)
        return store(c, size, aligned, value);
    set_vector(c, c->insn.rm, size, value);
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

    TRY(enter(c, false));
    if (c->insn.memory) {
        TRY(load(c, size, false, value));
    } else {
        if (merge)
            get_vector(c, is_vex(c) ? c->insn.vvvv : c->insn.reg, 16, value);
        get_vector(c, c->insn.rm, size, value);
    }
    set_vector(c, c->insn.reg, 16, value);
    return INTERP_DONE;
}

static enum interp_status store_scalar(struct interp *c, unsigned size, bool merge)
{
    uint8_t value[16] = {0};

    TRY(enter(c, false));
    if (!c->insn.memory && merge)
        get_vector(c, is_vex(c) ? c->insn.vvvv : c->insn.rm, 16, value);
    get_vector(c, c->insn.reg, size, value);
    if (c->insn.memory)
        return store(c, size, false, value);
    set_vector(c, c->insn.rm, 16, value);
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

    TRY(enter(c, false));
    get_vector(c, is_vex(c) ? c->insn.vvvv : c->insn.reg, 16, value);
    if (c->insn.memory) {
        TRY(load(c, 8, false, value + 8 * half));
    } else {
        get_vector(c, c->insn.rm, 16, other);
        memcpy(value + 8 * half, other + 8 * (1 - half), 8);
    }
    set_vector(c, c->insn.reg, 16, value);
    return INTERP_DONE;
}

static enum interp_status store_half(struct interp *c, unsigned half)
{
    uint8_t value[16];

    TRY(enter(c, false));
    get_vector(c, c->insn.reg, 16, value);
    return store(c, 8, false, value + 8 * half);
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

    TRY(enter(c, false));
    TRY(exec_get(c, 1, &from));
    memcpy(value, &from, 8);
    set_vector(c, c->insn.reg, 16, value);
    return INTERP_DONE;
}

enum interp_status exec_movd_store(struct interp *c)
{
    uint64_t value;

    TRY(enter(c, false));
    get_vector(c, c->insn.reg, 8, (uint8_t *)&value);
    return exec_set(c, 0, value & alu_mask(exec_operand_size(c, 0)));
}

enum interp_status exec_movd_mmx_load(struct interp *c)
{
    uint64_t value;

    TRY(enter(c, true));
    TRY(exec_get(c, 1, &value));
    set_mmx(c, c->insn.reg, (const uint8_t *)&value);
    return INTERP_DONE;
}

enum interp_status exec_movd_mmx_store(struct interp *c)
{
    uint64_t value;

    TRY(enter(c, true));
    memcpy(&value, component(c, XSTATE_X87) + XSAVE_ST + 16 * (c->insn.reg & 7), 8);
    TRY(exec_set(c, 0, value & alu_mask(exec_operand_size(c, 0))));
    (void)mmx(c, c->insn.reg);
    return INTERP_DONE;
}

enum interp_status exec_movq_mmx_load(struct interp *c)
{
    uint8_t value[8];

    TRY(enter(c, true));
    if (c->insn.memory)
        TRY(load(c, 8, false, value));
    else
        memcpy(value, mmx(c, c->insn.rm), 8);
    set_mmx(c, c->insn.reg, value);
    return INTERP_DONE;
}

enum interp_status exec_movq_mmx_store(struct interp *c)
{
    uint8_t value[8];

    TRY(enter(c, true));
    memcpy(value, component(c, XSTATE_X87) + XSAVE_ST + 16 * (c->insn.reg & 7), 8);
    if (!c->insn.memory) {
        set_mmx(c, c->insn.rm, value);
        return INTERP_DONE;
    }
    TRY(store(c, 8, false, value));
    (void)mmx(c, c->insn.reg);
    return INTERP_DONE;
}

enum interp_status exec_ldmxcsr(struct interp *c)
{
    uint64_t value;

    TRY(enter(c, false));
    TRY(exec_get(c, 0, &value));
    if (value & ~(uint64_t)MXCSR_VALID)
        return exec_gp0(c);
    c->state->dirty |= CPU_XSTATE;
    memcpy(component(c, XSTATE_SSE) + XSAVE_MXCSR, &value, 4);
    return INTERP_DONE;
}

enum interp_status exec_stmxcsr(struct interp *c)
{
    uint32_t value = MXCSR_INIT;

    TRY(enter(c, false));
    if (present_components(c) & (XSTATE_SSE | XSTATE_AVX))
        memcpy(&value, c->state->xsave + XSAVE_MXCSR, 4);
    return exec_set(c, 0, value);
}
