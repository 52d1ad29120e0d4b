/* SPDX-License-Identifier: MIT */
/*
 * Handlers: arithmetic of SSE to SSE4.2, AES and the like, and of MMX. The operands are the table
 * row's; the value, flags and exceptions are what the host's processor makes of copies of them
 * (host_vector.h). Exceptions: exec_float.h; SDM volume 2, 2.4.
 */
#include "vmm/cpu/exec_float.h"
#include "vmm/cpu/host_feature.h"
#include "vmm/cpu/host_vector.h"

#include "lib/string.h"

/* What an instruction is about beside its operands. */
#define USES_MXCSR 1u // floating point
#define SETS_FLAGS 2u
#define UNALIGNED  4u // 16-byte memory operands may be anywhere

static enum operand_class class_of(const struct interp *c, unsigned n)
{
    return operand_kinds[opcode_rows[c->insn.op].operand[n]].class;
}

static bool is_mmx(enum operand_class class)
{
    return class == OC_MREG || class == OC_MRM;
}

static bool is_vector(enum operand_class class)
{
    return class == OC_VREG || class == OC_VRM;
}

/* Does the instruction use an MMX register? */
static bool uses_mmx(const struct interp *c)
{
    return class_of(c, 0) == OC_MREG || (class_of(c, 1) == OC_MRM && !c->insn.memory);
}

static unsigned prefix_of(const struct interp *c)
{
    return opcode_rows[c->insn.op].select >> KEY_PREFIX_SHIFT & 3;
}

static const uint8_t *immediate_stub(const struct interp *c)
{
    unsigned imm = c->insn.imm & 0xff, wide = c->insn.rex >> 3 & 1;

    /* REX.W matters to PEXTRQ and PINSRQ only. */
    if (c->insn.map != MAP_3A || (c->insn.opcode != 0x16 && c->insn.opcode != 0x22))
        wide = 0;
    if (c->insn.map == MAP_3A && c->insn.opcode == 0x21 && c->insn.memory)
        imm &= 0x3f; // INSERTPS from memory has one source element
    switch ((c->insn.map == MAP_3A ? 3u : 1u) << 16 | prefix_of(c) << 12 | wide << 8 |
            c->insn.opcode) {
#define IMM(name, map, prefix, w, opcode)                        \
    case (map) << 16 | (prefix) << 12 | (w) << 8 | (opcode): \
        return host_imm_##name[imm];
#include "vmm/cpu/host_imm.def"
#undef IMM
    default:
        return NULL;
    }
}

static const uint8_t *stub_of(const struct interp *c)
{
    unsigned prefix = prefix_of(c);

    if (opcode_rows[c->insn.op].imm != IMM_NONE)
        return immediate_stub(c);
    if (c->insn.map == MAP_38)
        return host_map_38[prefix & 1][c->insn.opcode];
    if (prefix >= 2 && (c->insn.rex & 8) && c->mode == 8)
        prefix += 2;
    return host_map_0f[prefix][c->insn.opcode];
}

static enum interp_status enter(struct interp *c)
{
    enum operand_class to = class_of(c, 0), from = class_of(c, 1);

    if (host_feature_needed(&c->insn) & ~c->host)
        return exec_fault(c, EXCEPTION_UD);
    if (is_vector(to) || is_vector(from))
        TRY(xstate_enter_vector(c));
    if (uses_mmx(c))
        TRY(xstate_enter_mmx(c));
    return INTERP_DONE;
}

static enum interp_status load_operands(struct interp *c, unsigned about, struct host_vector *v)
{
    const struct insn *insn = &c->insn;
    enum operand_class to = class_of(c, 0), from = class_of(c, 1);
    unsigned size = operand_kinds[opcode_rows[insn->op].operand[1]].size;

    if (size == SIZE_X)
        size = 16;
    if (from == OC_RM && !insn->memory) {
        v->rdx = c->state->gpr[insn->rm];
    } else if (from == OC_RM) {
        TRY(exec_get(c, 1, &v->rdx));
    } else if (insn->memory) {
        TRY(xstate_load(c, size, size == 16 && !(about & UNALIGNED), v->xmm[2]));
        memcpy(&v->mm[2], v->xmm[2], 8);
    } else if (from == OC_MRM) {
        v->mm[2] = xstate_get_mmx(c, insn->rm & 7);
    } else {
        xstate_get_vector(c, insn->rm, 16, v->xmm[2]);
    }
    xstate_get_vector(c, 0, 16, v->xmm[0]);
    if (to == OC_VREG)
        xstate_get_vector(c, insn->reg, 16, v->xmm[1]);
    else if (to == OC_MREG)
        v->mm[1] = xstate_get_mmx(c, insn->reg & 7);
    return INTERP_DONE;
}

static void run(struct interp *c, unsigned about, struct host_vector *v)
{
    bool mmx = is_mmx(class_of(c, 0)) || is_mmx(class_of(c, 1));

    if (about & USES_MXCSR)
        (mmx ? host_mmx_float_run : host_float_run)(v, stub_of(c));
    else
        (mmx ? host_mmx_run : host_vector_run)(v, stub_of(c));
}

bool float_tiny(const uint8_t *value, unsigned lanes, unsigned size)
{
    static const uint64_t mantissas[9] = {[2] = 0x3ff, [4] = 0x7fffff, [8] = 0xfffffffffffff};
    uint64_t mantissa = mantissas[size], exponent = (1ull << (8 * size - 1)) - 1 - mantissa;

    for (unsigned i = 0; i < lanes; i++) {
        uint64_t x = 0;

        memcpy(&x, value + i * size, size);
        if ((x & exponent) == 0 && (x & mantissa))
            return true;
    }
    return false;
}

/*
 * With underflow unmasked, a tiny result is one even if it is exact; masked, as the host runs it,
 * only if it is not.
 */
static bool exact_underflow(const struct interp *c, const uint8_t *result)
{
    static const uint8_t lanes[4] = {4, 2, 1, 1};
    unsigned prefix = prefix_of(c);

    if (c->insn.map == MAP_3A)
        return (c->insn.opcode == 0x40 && float_tiny(result, 4, 4)) ||
               (c->insn.opcode == 0x41 && float_tiny(result, 2, 8));
    switch (c->insn.opcode) {
    case 0x58: // add, mul, sub, div
    case 0x59:
    case 0x5c:
    case 0x5e:
        return float_tiny(result, lanes[prefix], prefix == 1 || prefix == 3 ? 8 : 4);
    case 0x5a: // to single precision
        return (prefix == 1 && float_tiny(result, 2, 4)) || (prefix == 3 && float_tiny(result, 1, 4));
    case 0x7c: // horizontal
    case 0x7d:
    case 0xd0:
        return prefix == 1 ? float_tiny(result, 2, 8) : float_tiny(result, 4, 4);
    default:
        return false;
    }
}

static enum interp_status run_float(struct interp *c, struct host_vector *v)
{
    uint32_t mxcsr = xstate_mxcsr(c);

    v->mxcsr = float_begin(mxcsr);
    run(c, USES_MXCSR, v);
    return float_end(c, mxcsr, v->mxcsr,
                     !(mxcsr >> 7 & FLOAT_UNDERFLOW) && exact_underflow(c, v->xmm[1]));
}

static void set_flags(struct interp *c, const struct host_vector *v)
{
    c->state->rflags = (c->state->rflags & ~RFLAGS_STATUS) | (v->rflags & RFLAGS_STATUS);
}

static void store_result(struct interp *c, const struct host_vector *v)
{
    const struct insn *insn = &c->insn;

    switch (class_of(c, 0)) {
    case OC_VREG:
        xstate_set_vector(c, insn->reg, 16, v->xmm[1]);
        break;
    case OC_MREG:
        xstate_set_mmx(c, insn->reg & 7, v->mm[1]);
        break;
    default:
        exec_set_reg(c, insn->reg, 8, v->rcx);
        break;
    }
    if (uses_mmx(c))
        xstate_use_mmx(c);
}

static enum interp_status operate(struct interp *c, unsigned about)
{
    struct host_vector v = {.mxcsr = MXCSR_INIT};

    TRY(enter(c));
    TRY(load_operands(c, about, &v));
    if (about & USES_MXCSR) {
        enum interp_status status = run_float(c, &v);

        if (status != INTERP_DONE && uses_mmx(c)) // the unit is taken for MMX even so
            xstate_use_mmx(c);
        TRY(status);
    } else {
        run(c, about, &v);
    }
    if (about & SETS_FLAGS)
        set_flags(c, &v);
    else
        store_result(c, &v);
    return INTERP_DONE;
}

enum interp_status exec_sse(struct interp *c)       { return operate(c, 0); }
enum interp_status exec_sse_float(struct interp *c) { return operate(c, USES_MXCSR); }
enum interp_status exec_sse_comis(struct interp *c) { return operate(c, USES_MXCSR | SETS_FLAGS); }
enum interp_status exec_sse_ptest(struct interp *c) { return operate(c, SETS_FLAGS); }

/* Shifts by an immediate: the register is modrm.rm. The count is the same operand in a register. */
enum interp_status exec_sse_shift(struct interp *c)
{
    static const uint8_t opcodes[8] = {0, 0, 0xd0, 0, 0xe0, 0, 0xf0, 0};
    const struct insn *insn = &c->insn;
    struct host_vector v = {.mxcsr = MXCSR_INIT};
    bool is_64 = class_of(c, 0) == OC_MRM;
    unsigned opcode = opcodes[insn->modrm >> 3 & 7] + (insn->opcode & 3u);

    TRY(is_64 ? xstate_enter_mmx(c) : xstate_enter_vector(c));
    v.mm[2] = insn->imm & 0xff;
    v.xmm[2][0] = (uint8_t)insn->imm;
    if (is_64) {
        v.mm[1] = xstate_get_mmx(c, insn->rm & 7);
        host_mmx_run(&v, host_map_0f[0][opcode]);
        xstate_set_mmx(c, insn->rm & 7, v.mm[1]);
    } else {
        xstate_get_vector(c, insn->rm, 16, v.xmm[1]);
        host_vector_run(&v, host_map_0f[1][opcode]);
        xstate_set_vector(c, insn->rm, 16, v.xmm[1]);
    }
    return INTERP_DONE;
}

/* PSRLDQ, PSLLDQ: by bytes. */
enum interp_status exec_sse_shift_bytes(struct interp *c)
{
    bool left = (c->insn.modrm >> 3 & 7) == 7;
    unsigned count = c->insn.imm & 0xff;
    uint8_t from[16], to[16] = {0};

    TRY(xstate_enter_vector(c));
    xstate_get_vector(c, c->insn.rm, 16, from);
    for (unsigned i = count; i < 16; i++)
        to[left ? i : i - count] = from[left ? i - count : i];
    xstate_set_vector(c, c->insn.rm, 16, to);
    return INTERP_DONE;
}

/* PEXTRB and the like: to memory the element, to a register the element zero-extended. */
enum interp_status exec_sse_extract(struct interp *c)
{
    struct host_vector v = {.mxcsr = MXCSR_INIT};

    TRY(enter(c));
    xstate_get_vector(c, c->insn.reg, 16, v.xmm[1]);
    host_vector_run(&v, stub_of(c));
    if (c->insn.memory) {
        unsigned size = exec_operand_size(c, 0);

        return exec_write(c, c->insn.segment, exec_address(c), size, v.rdx & alu_mask(size));
    }
    exec_set_reg(c, c->insn.rm, 8, v.rdx);
    return INTERP_DONE;
}

uint64_t sse_string_length(const struct interp *c, unsigned reg)
{
    int64_t length = (int64_t)c->state->gpr[reg];

    if (!(c->insn.rex & 8) || c->mode != 8)
        length = (int32_t)length;
    if (length > 16 || length < -16)
        length = 16;
    return (uint64_t)length;
}

enum interp_status exec_sse_string(struct interp *c)
{
    struct host_vector v = {.mxcsr = MXCSR_INIT};

    TRY(enter(c));
    TRY(load_operands(c, UNALIGNED, &v));
    v.rax = sse_string_length(c, CPU_RAX);
    v.rdx = sse_string_length(c, CPU_RDX);
    run(c, UNALIGNED, &v);
    if (c->insn.opcode & 1)
        exec_set_reg(c, CPU_RCX, 8, (uint32_t)v.rcx);
    else
        xstate_set_vector(c, 0, 16, v.xmm[0]);
    set_flags(c, &v);
    return INTERP_DONE;
}
