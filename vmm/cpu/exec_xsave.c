/* SPDX-License-Identifier: MIT */
/*
 * Handlers: FXSAVE, FXRSTOR, XSAVE, XSAVEOPT, XSAVEC, XRSTOR (SDM volume 1, 10.5 and chapter 13).
 * Components are x87, SSE and AVX, whose places are the same in the standard and the compacted
 * format. Outside 64-bit code there are eight registers, and the others are left alone.
 */
#include "vmm/cpu/x87.h"

#include "lib/string.h"

#define LEGACY_SIZE  512u
#define HEADER_SIZE  64u
#define ALL          (XSTATE_X87 | XSTATE_SSE | XSTATE_AVX)
#define COMPACTED    (1ull << 63)

static uint64_t get64(const uint8_t *from)
{
    uint64_t value;

    memcpy(&value, from, sizeof value);
    return value;
}

static void put64(uint8_t *to, uint64_t value)
{
    memcpy(to, &value, sizeof value);
}

static uint32_t get_mxcsr(const uint8_t *area)
{
    uint32_t value;

    memcpy(&value, area + XSAVE_MXCSR, sizeof value);
    return value;
}

/* The memory operand, aligned to a power of two. */
static enum interp_status area(struct interp *c, unsigned size, unsigned alignment, uint32_t flags,
                               struct access *a)
{
    uint64_t linear;

    TRY(exec_linear(c, c->insn.segment, exec_address(c), size, flags, &linear));
    if (linear & (alignment - 1))
        return exec_gp0(c);
    return exec_prepare(c, linear, size, flags, a);
}

static unsigned vector_bytes(const struct interp *c)
{
    return c->mode == 8 ? 256 : 128;
}

/* Copies a component; the x87 pointers without REX.W are 32 bits of offset, and a selector. */
static void copy_component(const struct interp *c, uint64_t bit, const uint8_t *from, uint8_t *to)
{
    if (bit == XSTATE_SSE) {
        memcpy(to + XSAVE_XMM, from + XSAVE_XMM, vector_bytes(c));
    } else if (bit == XSTATE_AVX) {
        memcpy(to + XSAVE_YMMH, from + XSAVE_YMMH, vector_bytes(c));
    } else {
        memcpy(to, from, XSAVE_MXCSR);
        memcpy(to + XSAVE_ST, from + XSAVE_ST, 128);
        to[XSAVE_FTW + 1] = 0;
        if (c->mode == 8 && (c->insn.rex & 8))
            return;
        for (unsigned at = XSAVE_FIP; at <= XSAVE_FDP; at += 8) {
            if (c->mode == 8)
                memset(to + at + 4, 0, 2);
            memset(to + at + 6, 0, 2);
        }
    }
}

/* Puts a component of the guest, initial or not, into an area. */
static void save_component(const struct interp *c, uint64_t bit, uint8_t *to)
{
    uint8_t initial[XSAVE_SIZE];

    if (xstate_present(c) & bit) {
        copy_component(c, bit, c->state->xsave, to);
        return;
    }
    xstate_initialize(initial, bit);
    copy_component(c, bit, initial, to);
}

static void save_mxcsr(const struct interp *c, uint8_t *to)
{
    uint32_t mxcsr = xstate_mxcsr(c), mask = MXCSR_VALID;

    memcpy(to + XSAVE_MXCSR, &mxcsr, sizeof mxcsr);
    memcpy(to + XSAVE_MASK, &mask, sizeof mask);
}

/* Takes a component from an area, or gives it its initial state (from is NULL). */
static void load_component(struct interp *c, uint64_t bit, const uint8_t *from)
{
    uint8_t *image = xstate_component(c, bit), initial[XSAVE_SIZE];

    if (!from) {
        xstate_initialize(initial, bit);
        from = initial;
    }
    copy_component(c, bit, from, image);
    if (bit != XSTATE_X87)
        return;
    x87_set_word(image, XSAVE_FCW, (uint16_t)((x87_word(image, 0) & FCW_VALID) | FCW_ONE));
    x87_set_word(image, XSAVE_FOP, x87_word(image, XSAVE_FOP) & 0x7ff);
    for (unsigned i = 0; i < 8; i++)
        memset(image + XSAVE_ST + 16 * i + 10, 0, 6);
    x87_update_summary(image);
}

static void load_mxcsr(struct interp *c, uint32_t value)
{
    c->state->dirty |= CPU_XSTATE;
    memcpy(c->state->xsave + XSAVE_MXCSR, &value, sizeof value);
}

static enum interp_status enter(struct interp *c, bool available)
{
    exec_need(c, CPU_XSTATE);
    if (!available)
        return exec_fault(c, EXCEPTION_UD);
    return c->state->cr0 & CR0_TS ? exec_fault(c, EXCEPTION_NM) : INTERP_DONE;
}

enum interp_status exec_fxsave(struct interp *c)
{
    uint8_t memory[LEGACY_SIZE];
    struct access a;

    exec_need(c, CPU_XSTATE);
    if (c->state->cr0 & (CR0_EM | CR0_TS))
        return exec_fault(c, EXCEPTION_NM);
    TRY(area(c, LEGACY_SIZE, 16, ACCESS_WRITE, &a));
    exec_load_bytes(c, &a, memory); // what is reserved or for software stays
    save_component(c, XSTATE_X87, memory);
    save_component(c, XSTATE_SSE, memory);
    save_mxcsr(c, memory);
    exec_store_bytes(c, &a, memory);
    return INTERP_DONE;
}

enum interp_status exec_fxrstor(struct interp *c)
{
    uint8_t memory[LEGACY_SIZE];
    struct access a;

    exec_need(c, CPU_XSTATE);
    if (c->state->cr0 & (CR0_EM | CR0_TS))
        return exec_fault(c, EXCEPTION_NM);
    TRY(area(c, LEGACY_SIZE, 16, 0, &a));
    exec_load_bytes(c, &a, memory);
    if (get_mxcsr(memory) & ~MXCSR_VALID)
        return exec_gp0(c);
    load_component(c, XSTATE_X87, memory);
    load_component(c, XSTATE_SSE, memory);
    load_mxcsr(c, get_mxcsr(memory));
    return INTERP_DONE;
}

/* The components that the instruction asks for, of those that XCR0 enables. */
static uint64_t requested(const struct interp *c)
{
    uint64_t mask =
        (uint32_t)c->state->gpr[CPU_RAX] | (uint64_t)(uint32_t)c->state->gpr[CPU_RDX] << 32;

    return mask & c->state->xcr0;
}

static unsigned area_size(uint64_t components)
{
    return components & XSTATE_AVX ? XSAVE_SIZE : LEGACY_SIZE + HEADER_SIZE;
}

/* Checks, what is asked for, and what the area holds now: nothing can fault after it. */
static enum interp_status begin_save(struct interp *c, uint64_t *wanted, struct access *a,
                                     uint8_t memory[XSAVE_SIZE])
{
    TRY(enter(c, c->state->cr4 & CR4_OSXSAVE));
    *wanted = requested(c);
    if (*wanted & ~ALL)
        return INTERP_UNSUPPORTED;
    TRY(area(c, area_size(*wanted), 64, ACCESS_WRITE, a));
    exec_load_bytes(c, a, memory);
    return INTERP_DONE;
}

/*
 * The standard format: components asked for, and of the header XSTATE_BV's bits for them. XSAVEOPT
 * (`initial` false) leaves out what is in its initial state.
 */
static enum interp_status save_standard(struct interp *c, bool initial)
{
    uint8_t memory[XSAVE_SIZE];
    uint64_t wanted, used;
    struct access a;

    TRY(begin_save(c, &wanted, &a, memory));
    used = xstate_used(c->state->xsave) & wanted;
    for (uint64_t bit = XSTATE_X87; bit <= XSTATE_AVX; bit <<= 1)
        if ((initial ? wanted : used) & bit)
            save_component(c, bit, memory);
    if (wanted & (XSTATE_SSE | XSTATE_AVX))
        save_mxcsr(c, memory);
    put64(memory + XSAVE_BV, (get64(memory + XSAVE_BV) & ~wanted) | used);
    exec_store_bytes(c, &a, memory);
    return INTERP_DONE;
}

enum interp_status exec_xsave(struct interp *c)    { return save_standard(c, true); }
enum interp_status exec_xsaveopt(struct interp *c) { return save_standard(c, false); }

/* The compacted format; MXCSR other than initial makes SSE one to be saved. */
enum interp_status exec_xsavec(struct interp *c)
{
    uint8_t memory[XSAVE_SIZE];
    uint64_t wanted, used;
    struct access a;

    TRY(begin_save(c, &wanted, &a, memory));
    used = xstate_used(c->state->xsave);
    if (xstate_mxcsr(c) != MXCSR_INIT)
        used |= XSTATE_SSE;
    used &= wanted;
    for (uint64_t bit = XSTATE_X87; bit <= XSTATE_AVX; bit <<= 1)
        if (used & bit)
            save_component(c, bit, memory);
    if (used & XSTATE_SSE)
        save_mxcsr(c, memory);
    put64(memory + XSAVE_BV, used);
    put64(memory + XSAVE_COMP, COMPACTED | wanted);
    exec_store_bytes(c, &a, memory);
    return INTERP_DONE;
}

/* SDM volume 1, 13.8: what is wrong with a header is #GP before anything is loaded. */
static bool header_valid(const struct interp *c, const uint8_t *header)
{
    uint64_t components = get64(header), format = get64(header + 8);

    if (!(format & COMPACTED))
        return !(components & ~c->state->xcr0) && format == 0 && get64(header + 16) == 0;
    if ((format & ~COMPACTED & ~c->state->xcr0) || (components & ~format))
        return false;
    for (unsigned i = 16; i < HEADER_SIZE; i += 8)
        if (get64(header + i))
            return false;
    return true;
}

/*
 * MXCSR comes with SSE or AVX asked for in the standard format; in the compacted one it is part of
 * SSE.
 */
static enum interp_status restore(struct interp *c, const uint8_t *memory, uint64_t wanted)
{
    uint64_t there = get64(memory + XSAVE_BV);
    bool compacted = get64(memory + XSAVE_COMP) & COMPACTED;
    bool load = compacted ? wanted & there & XSTATE_SSE : wanted & (XSTATE_SSE | XSTATE_AVX);

    if (load && (get_mxcsr(memory) & ~MXCSR_VALID))
        return exec_gp0(c);
    for (uint64_t bit = XSTATE_X87; bit <= XSTATE_AVX; bit <<= 1)
        if (wanted & bit)
            load_component(c, bit, there & bit ? memory : NULL);
    if (c->mode == 8 && (wanted & ~there)) { // initial again
        uint64_t present = xstate_present(c) & ~(wanted & ~there);

        put64(c->state->xsave + XSAVE_BV, present);
    }
    if (load)
        load_mxcsr(c, get_mxcsr(memory));
    else if (wanted & XSTATE_SSE)
        load_mxcsr(c, MXCSR_INIT);
    return INTERP_DONE;
}

enum interp_status exec_xrstor(struct interp *c)
{
    uint8_t memory[XSAVE_SIZE];
    uint64_t wanted;
    struct access a;

    TRY(enter(c, c->state->cr4 & CR4_OSXSAVE));
    wanted = requested(c);
    if (wanted & ~ALL)
        return INTERP_UNSUPPORTED;
    TRY(area(c, area_size(wanted), 64, 0, &a));
    exec_load_bytes(c, &a, memory);
    if (!header_valid(c, memory + LEGACY_SIZE))
        return exec_gp0(c);
    return restore(c, memory, wanted);
}
