/* SPDX-License-Identifier: MIT */
/*
 * Handlers: the x87 unit (SDM volume 1, chapter 8; volume 2). Control instructions are done here on
 * the image; the others by the host's unit, loaded with a copy of it. Unmasked exceptions then end
 * up in the status word as they do on a processor, and the next waiting instruction raises #MF;
 * CR0.NE is taken as set.
 *
 * Instruction and data pointer are the guest's.
 */
#include "vmm/cpu/host_feature.h"
#include "vmm/cpu/host_vector.h"
#include "vmm/cpu/x87.h"

#include "lib/string.h"

/* Memory forms, by the opcode's low three bits and modrm.reg. */
enum form { UD, LOAD, STORE, CONTROL };

struct memory_form {
    uint8_t form;
    uint8_t size;
};

#define L(size) {LOAD, size}
#define S(size) {STORE, size}
#define C(size) {CONTROL, size}

static const struct memory_form memory_forms[8][8] = {
    {L(4), L(4), L(4), L(4), L(4), L(4), L(4), L(4)},
    {L(4), {UD, 0}, S(4), S(4), C(0), C(2), C(0), C(2)},
    {L(4), L(4), L(4), L(4), L(4), L(4), L(4), L(4)},
    {L(4), S(4), S(4), S(4), {UD, 0}, L(10), {UD, 0}, S(10)},
    {L(8), L(8), L(8), L(8), L(8), L(8), L(8), L(8)},
    {L(8), S(8), S(8), S(8), C(0), {UD, 0}, C(0), C(2)},
    {L(2), L(2), L(2), L(2), L(2), L(2), L(2), L(2)},
    {L(2), S(2), S(2), S(2), L(10), L(8), S(10), S(8)},
};

/* Register forms that are undefined: a bit for each modrm.rm, by opcode and modrm.reg. */
static const uint8_t undefined_forms[8][8] = {
    [1] = {[2] = 0xfe, [4] = 0xcc, [5] = 0x80},
    [2] = {[4] = 0xff, [5] = 0xfd, [6] = 0xff, [7] = 0xff},
    [3] = {[4] = 0xe0, [7] = 0xff},
    [5] = {[6] = 0xff, [7] = 0xff},
    [6] = {[3] = 0xfd},
    [7] = {[4] = 0xfe, [7] = 0xff},
};

struct x87_insn {
    unsigned opcode, reg, rm; // of D8: 0; modrm fields
};

/* Loads the unit with the image's copy, runs, and takes the registers back. */
static void run(struct interp *c, const uint8_t *stub, uint8_t *operand)
{
    uint8_t *image = xstate_component(c, XSTATE_X87);
    uint8_t copy[512] __attribute__((aligned(16)));
    uint64_t flags = (c->state->rflags & RFLAGS_STATUS) | 0x202;
    uint16_t fsw = x87_word(image, XSAVE_FSW);

    memset(copy, 0, sizeof copy);
    memcpy(copy, image, XSAVE_FOP);
    memcpy(copy + XSAVE_ST, image + XSAVE_ST, 128);
    x87_set_word(copy, XSAVE_FSW, (uint16_t)(fsw & ~(FSW_ES | FSW_BUSY)));
    copy[XSAVE_MXCSR] = MXCSR_INIT & 0xff;
    copy[XSAVE_MXCSR + 1] = MXCSR_INIT >> 8;
    host_x87_run(copy, stub, operand, &flags);
    memcpy(image, copy, XSAVE_FOP);
    memcpy(image + XSAVE_ST, copy + XSAVE_ST, 128);
    c->state->rflags = (c->state->rflags & ~RFLAGS_STATUS) | (flags & RFLAGS_STATUS);
}

/* Instruction pointer, operand pointer and opcode, with selectors outside 64-bit code. */
static void note_instruction(struct interp *c)
{
    uint8_t *image = c->state->xsave;
    uint64_t fip = c->state->rip, fdp;

    if (c->mode != 8)
        fip = (uint32_t)fip | (uint64_t)c->state->cs.sel << 32;
    memcpy(image + XSAVE_FIP, &fip, sizeof fip);
    x87_set_word(image, XSAVE_FOP, (uint16_t)((c->insn.opcode & 7) << 8 | c->insn.modrm));
    if (!c->insn.memory)
        return;
    fdp = exec_address(c);
    if (c->mode != 8)
        fdp = (uint32_t)fdp | (uint64_t)exec_segment(c, c->insn.segment)->sel << 32;
    memcpy(image + XSAVE_FDP, &fdp, sizeof fdp);
}

static void initialize(struct interp *c)
{
    uint8_t *image = xstate_component(c, XSTATE_X87);

    x87_set_top(image, 0);
    memset(image, 0, XSAVE_MXCSR);
    x87_set_word(image, XSAVE_FCW, FCW_INIT);
}

static enum interp_status load_form(struct interp *c, const struct x87_insn *x, unsigned size)
{
    uint8_t operand[16] = {0};

    TRY(xstate_load(c, size, false, operand));
    run(c, host_x87_memory[x->opcode][x->reg], operand);
    note_instruction(c);
    return INTERP_DONE;
}

/* An unmasked exception other than precision keeps the result out of memory (SDM 8.5). */
static enum interp_status store_form(struct interp *c, const struct x87_insn *x, unsigned size)
{
    uint8_t operand[16] = {0};
    const uint8_t *image = c->state->xsave;
    struct access a;

    if (x->reg == 1 && !(c->host & HOST_SSE3)) // FISTTP
        return exec_fault(c, EXCEPTION_UD);
    TRY(exec_access(c, c->insn.segment, exec_address(c), size, ACCESS_WRITE, &a));
    run(c, host_x87_memory[x->opcode][x->reg], operand);
    note_instruction(c);
    if (!(image[XSAVE_FSW] & ~image[XSAVE_FCW] & 0x1f))
        exec_store_bytes(c, &a, operand);
    return INTERP_DONE;
}

static enum interp_status load_control(struct interp *c)
{
    uint64_t value;
    uint8_t *image;

    TRY(exec_read(c, c->insn.segment, exec_address(c), 2, &value));
    image = xstate_component(c, XSTATE_X87);
    x87_set_word(image, XSAVE_FCW, (uint16_t)((value & FCW_VALID) | FCW_ONE));
    x87_update_summary(image);
    return INTERP_DONE;
}

static enum interp_status store_word(struct interp *c, unsigned at)
{
    return exec_write(c, c->insn.segment, exec_address(c), 2,
                      x87_word(xstate_component(c, XSTATE_X87), at));
}

/* FNSTENV and FNSAVE; the first masks all exceptions after it, the second initializes the unit. */
static enum interp_status store_environment(struct interp *c, bool registers)
{
    uint8_t *image = xstate_component(c, XSTATE_X87), memory[108];
    unsigned size = x87_put_environment(image, c->insn.opsize, exec_protected(c), memory);
    struct access a;

    for (unsigned i = 0; registers && i < 8; i++, size += 10)
        memcpy(memory + size, image + XSAVE_ST + 16 * i, 10);
    TRY(exec_access(c, c->insn.segment, exec_address(c), size, ACCESS_WRITE, &a));
    exec_store_bytes(c, &a, memory);
    if (registers) {
        initialize(c);
    } else {
        image[XSAVE_FCW] |= FSW_FLAGS;
        x87_update_summary(image);
    }
    return INTERP_DONE;
}

static enum interp_status load_environment(struct interp *c, bool registers)
{
    uint8_t *image, memory[108];
    unsigned size = c->insn.opsize == 2 ? 14 : 28;
    struct access a;

    TRY(exec_access(c, c->insn.segment, exec_address(c), size + (registers ? 80 : 0), 0, &a));
    exec_load_bytes(c, &a, memory);
    image = xstate_component(c, XSTATE_X87);
    x87_get_environment(image, c->insn.opsize, exec_protected(c), memory);
    for (unsigned i = 0; registers && i < 8; i++) {
        memset(image + XSAVE_ST + 16 * i, 0, 16);
        memcpy(image + XSAVE_ST + 16 * i, memory + size + 10 * i, 10);
    }
    return INTERP_DONE;
}

/* Instructions on control words in memory; those that store do not wait. */
static enum interp_status control_form(struct interp *c, const struct x87_insn *x)
{
    bool waits = x->reg < 6;

    TRY(xstate_enter_x87(c, waits));
    if (x->opcode == 5) {
        if (x->reg == 7)
            return store_word(c, XSAVE_FSW);
        return waits ? load_environment(c, true) : store_environment(c, true);
    }
    switch (x->reg) {
    case 4:  return load_environment(c, false);
    case 5:  return load_control(c);
    case 6:  return store_environment(c, false);
    default: return store_word(c, XSAVE_FCW);
    }
}

static enum interp_status memory_form(struct interp *c, const struct x87_insn *x)
{
    const struct memory_form *f = &memory_forms[x->opcode][x->reg];

    switch (f->form) {
    case UD:
        return exec_fault(c, EXCEPTION_UD);
    case CONTROL:
        return control_form(c, x);
    default:
        TRY(xstate_enter_x87(c, true));
        return f->form == LOAD ? load_form(c, x, f->size) : store_form(c, x, f->size);
    }
}

/* FNCLEX, FNINIT, and the FNENI, FNDISI and FNSETPM of older units, which do nothing. */
static enum interp_status control_register_form(struct interp *c, unsigned rm)
{
    uint8_t *image;

    TRY(xstate_enter_x87(c, false));
    if (rm == 3) {
        initialize(c);
    } else if (rm == 2) {
        image = xstate_component(c, XSTATE_X87);
        x87_set_word(image, XSAVE_FSW, x87_word(image, XSAVE_FSW) & 0x7f00);
    }
    return INTERP_DONE;
}

static enum interp_status register_form(struct interp *c, const struct x87_insn *x)
{
    if (undefined_forms[x->opcode][x->reg] >> x->rm & 1)
        return exec_fault(c, EXCEPTION_UD);
    if (x->opcode == 3 && x->reg == 4)
        return control_register_form(c, x->rm);
    if (x->opcode == 7 && x->reg == 4) { // FNSTSW AX
        TRY(xstate_enter_x87(c, false));
        exec_set_reg(c, CPU_RAX, 2, x87_word(xstate_component(c, XSTATE_X87), XSAVE_FSW));
        return INTERP_DONE;
    }
    TRY(xstate_enter_x87(c, true));
    run(c, host_x87_register[x->opcode][x->reg << 3 | x->rm], NULL);
    note_instruction(c);
    return INTERP_DONE;
}

enum interp_status exec_x87(struct interp *c)
{
    struct x87_insn x = {
        .opcode = c->insn.opcode & 7, .reg = c->insn.modrm >> 3 & 7, .rm = c->insn.modrm & 7,
    };

    return c->insn.memory ? memory_form(c, &x) : register_form(c, &x);
}

/* WAIT looks at TS only with MP, and not at EM. */
enum interp_status exec_fwait(struct interp *c)
{
    uint64_t cr0 = c->state->cr0;

    exec_need(c, CPU_XSTATE);
    if ((cr0 & (CR0_MP | CR0_TS)) == (CR0_MP | CR0_TS))
        return exec_fault(c, EXCEPTION_NM);
    if ((xstate_present(c) & XSTATE_X87) &&
        (c->state->xsave[XSAVE_FSW] & ~c->state->xsave[XSAVE_FCW] & FSW_FLAGS))
        return exec_fault(c, EXCEPTION_MF);
    return INTERP_DONE;
}
