/* SPDX-License-Identifier: MIT */
/* The extended state of a vCPU. */
#include "vmm/cpu/xstate.h"

#include "lib/string.h"

uint64_t xstate_present(const struct interp *c)
{
    uint64_t bits;

    memcpy(&bits, c->state->xsave + XSAVE_BV, sizeof bits);
    return bits;
}

static bool is_zero(const uint8_t *bytes, unsigned size)
{
    uint64_t any = 0, word;

    for (unsigned at = 0; at < size; at += 8) {
        memcpy(&word, bytes + at, sizeof word);
        any |= word;
    }
    return !any;
}

/* FCW as FNINIT leaves it, and zeros up to MXCSR and in the registers. */
static bool is_initial_x87(const uint8_t *image)
{
    uint64_t words;

    memcpy(&words, image + XSAVE_FCW, sizeof words);
    return words == FCW_INIT && is_zero(image + XSAVE_FIP, XSAVE_MXCSR - XSAVE_FIP) &&
           is_zero(image + XSAVE_ST, 128);
}

uint64_t xstate_used(const uint8_t *image)
{
    uint64_t bits;

    memcpy(&bits, image + XSAVE_BV, sizeof bits);
    if ((bits & XSTATE_X87) && is_initial_x87(image))
        bits &= ~XSTATE_X87;
    if ((bits & XSTATE_SSE) && is_zero(image + XSAVE_XMM, 256))
        bits &= ~XSTATE_SSE;
    if ((bits & XSTATE_AVX) && is_zero(image + XSAVE_YMMH, 256))
        bits &= ~XSTATE_AVX;
    return bits;
}

void xstate_initialize(uint8_t *image, uint64_t bit)
{
    if (bit == XSTATE_X87) {
        memset(image, 0, XSAVE_MXCSR);
        memset(image + XSAVE_ST, 0, 128);
        x87_set_word(image, XSAVE_FCW, FCW_INIT);
    } else if (bit == XSTATE_SSE) {
        memset(image + XSAVE_XMM, 0, 256);
    } else {
        memset(image + XSAVE_YMMH, 0, 256);
    }
}

uint8_t *xstate_component(struct interp *c, uint64_t bit)
{
    uint64_t bits = xstate_present(c);
    uint8_t *image = c->state->xsave;

    c->state->dirty |= CPU_XSTATE;
    if (!(bits & bit)) {
        xstate_initialize(image, bit);
        bits |= bit;
        memcpy(image + XSAVE_BV, &bits, sizeof bits);
    }
    return image;
}

void xstate_not_used(struct interp *c, uint64_t bits)
{
    uint64_t left = xstate_present(c) & ~bits;

    c->state->dirty |= CPU_XSTATE;
    memcpy(c->state->xsave + XSAVE_BV, &left, sizeof left);
    for (uint64_t bit = XSTATE_X87; bit <= XSTATE_AVX; bit <<= 1)
        if (bits & bit)
            xstate_initialize(c->state->xsave, bit);
}

static bool is_vex(const struct interp *c)
{
    return c->insn.map >= MAP_V1;
}

enum interp_status xstate_enter_vector(struct interp *c)
{
    uint64_t cr0 = c->state->cr0, cr4 = c->state->cr4;

    exec_need(c, CPU_XSTATE);
    if (is_vex(c)) {
        if (!(cr0 & CR0_PE) || (c->state->rflags & RFLAGS_VM) || !(cr4 & CR4_OSXSAVE) ||
            (c->state->xcr0 & 6) != 6)
            return exec_fault(c, EXCEPTION_UD);
    } else if ((cr0 & CR0_EM) || !(cr4 & CR4_OSFXSR)) {
        return exec_fault(c, EXCEPTION_UD);
    }
    return cr0 & CR0_TS ? exec_fault(c, EXCEPTION_NM) : INTERP_DONE;
}

static uint8_t pending_exceptions(const struct interp *c)
{
    const uint8_t *image = c->state->xsave;

    if (!(xstate_present(c) & XSTATE_X87))
        return 0;
    return image[XSAVE_FSW] & ~image[XSAVE_FCW] & FSW_FLAGS;
}

enum interp_status xstate_enter_mmx(struct interp *c)
{
    exec_need(c, CPU_XSTATE);
    if (c->state->cr0 & CR0_EM)
        return exec_fault(c, EXCEPTION_UD);
    if (c->state->cr0 & CR0_TS)
        return exec_fault(c, EXCEPTION_NM);
    return pending_exceptions(c) ? exec_fault(c, EXCEPTION_MF) : INTERP_DONE;
}

enum interp_status xstate_enter_x87(struct interp *c, bool waits)
{
    exec_need(c, CPU_XSTATE);
    if (c->state->cr0 & (CR0_EM | CR0_TS))
        return exec_fault(c, EXCEPTION_NM);
    return waits && pending_exceptions(c) ? exec_fault(c, EXCEPTION_MF) : INTERP_DONE;
}

void xstate_get_vector(const struct interp *c, unsigned reg, unsigned size, uint8_t *to)
{
    uint64_t bits = xstate_present(c);

    if (size == 16 && (bits & XSTATE_SSE)) {
        memcpy(to, c->state->xsave + XSAVE_XMM + 16 * reg, 16);
        return;
    }
    memset(to, 0, size);
    if (bits & XSTATE_SSE)
        memcpy(to, c->state->xsave + XSAVE_XMM + 16 * reg, size < 16 ? size : 16);
    if (size == 32 && (bits & XSTATE_AVX))
        memcpy(to + 16, c->state->xsave + XSAVE_YMMH + 16 * reg, 16);
}

/* AVX-512's part of the register is not cleared: AVX-512 is not offered. */
void xstate_set_vector(struct interp *c, unsigned reg, unsigned size, const uint8_t *from)
{
    uint8_t *low, *high;

    low = xstate_component(c, XSTATE_SSE) + XSAVE_XMM + 16 * reg;
    memcpy(low, from, size < 16 ? size : 16);
    if (!is_vex(c))
        return;
    if (size < 16)
        memset(low + size, 0, 16 - size);
    if (size < 32 && !(xstate_present(c) & XSTATE_AVX))
        return; // its upper half is 0, and its component not in use as on a processor
    high = xstate_component(c, XSTATE_AVX) + XSAVE_YMMH + 16 * reg;
    if (size == 32)
        memcpy(high, from + 16, 16);
    else
        memset(high, 0, 16);
}

uint32_t xstate_mxcsr(const struct interp *c)
{
    uint32_t value;

    memcpy(&value, c->state->xsave + XSAVE_MXCSR, 4);
    return value & MXCSR_VALID;
}

void xstate_set_mxcsr(struct interp *c, uint32_t value)
{
    memcpy(xstate_component(c, XSTATE_SSE) + XSAVE_MXCSR, &value, 4);
}

uint16_t x87_word(const uint8_t *image, unsigned at)
{
    return (uint16_t)(image[at] | image[at + 1] << 8);
}

void x87_set_word(uint8_t *image, unsigned at, uint16_t value)
{
    image[at] = (uint8_t)value;
    image[at + 1] = (uint8_t)(value >> 8);
}

void x87_set_top(uint8_t *image, unsigned top)
{
    uint16_t fsw = x87_word(image, XSAVE_FSW);
    unsigned turn = (top - (fsw >> 11)) & 7;
    uint8_t old[128];

    x87_set_word(image, XSAVE_FSW, (uint16_t)((fsw & ~FSW_TOP) | (top & 7) << 11));
    if (turn == 0)
        return;
    memcpy(old, image + XSAVE_ST, sizeof old);
    for (unsigned i = 0; i < 8; i++)
        memcpy(image + XSAVE_ST + 16 * i, old + 16 * ((i + turn) & 7), 16);
}

void x87_update_summary(uint8_t *image)
{
    uint16_t fsw = x87_word(image, XSAVE_FSW);

    fsw &= (uint16_t)~(FSW_ES | FSW_BUSY);
    if (fsw & ~x87_word(image, XSAVE_FCW) & FSW_FLAGS)
        fsw |= FSW_ES | FSW_BUSY;
    x87_set_word(image, XSAVE_FSW, fsw);
}

static unsigned mmx_at(const struct interp *c, unsigned reg)
{
    unsigned top = x87_word(c->state->xsave, XSAVE_FSW) >> 11 & 7;

    return XSAVE_ST + 16 * ((reg - top) & 7);
}

uint64_t xstate_get_mmx(const struct interp *c, unsigned reg)
{
    uint64_t value = 0;

    if (xstate_present(c) & XSTATE_X87)
        memcpy(&value, c->state->xsave + mmx_at(c, reg), sizeof value);
    return value;
}

void xstate_use_mmx(struct interp *c)
{
    uint8_t *image = xstate_component(c, XSTATE_X87);

    x87_set_top(image, 0);
    image[XSAVE_FTW] = 0xff;
}

void xstate_set_mmx(struct interp *c, unsigned reg, uint64_t value)
{
    uint8_t *to;

    xstate_use_mmx(c);
    to = c->state->xsave + mmx_at(c, reg);
    memcpy(to, &value, sizeof value);
    to[8] = to[9] = 0xff;
}

enum interp_status xstate_load(struct interp *c, unsigned size, bool aligned, uint8_t *to)
{
    struct access a;

    TRY(exec_access(c, c->insn.segment, exec_address(c), size, aligned ? ACCESS_ALIGNED : 0, &a));
    exec_load_bytes(c, &a, to);
    return INTERP_DONE;
}

enum interp_status xstate_store(struct interp *c, unsigned size, bool aligned, const uint8_t *from)
{
    struct access a;

    TRY(exec_access(c, c->insn.segment, exec_address(c), size,
                    ACCESS_WRITE | (aligned ? ACCESS_ALIGNED : 0), &a));
    exec_store_bytes(c, &a, from);
    return INTERP_DONE;
}
