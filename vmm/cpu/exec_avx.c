/* SPDX-License-Identifier: MIT */
/*
 * Handlers: arithmetic of AVX, AVX2, FMA, F16C and the VEX forms of AES and the like. As with
 * SSE, the values are what the host's processor makes of copies of the operands (host_vex.h). A
 * result clears the rest of its register, and operands in memory may be anywhere (SDM volume 2,
 * 2.3.10, 2.4; volume 1, 14.9).
 */
#include "vmm/cpu/exec_float.h"
#include "vmm/cpu/host_feature.h"
#include "vmm/cpu/host_vex.h"

#include "lib/string.h"

static struct operand_kind kind_of(const struct interp *c, unsigned n)
{
    return operand_kinds[opcode_rows[c->insn.op].operand[n]];
}

/* Bytes of a vector operand. */
static unsigned size_of(const struct interp *c, unsigned n)
{
    unsigned size = kind_of(c, n).size, length = c->insn.vl ? 32 : 16;

    switch (size) {
    case SIZE_X: return length;
    case SIZE_H: return length / 2;
    case SIZE_F: return length / 4;
    case SIZE_E: return length / 8;
    default:     return size;
    }
}

static unsigned prefix_of(const struct interp *c)
{
    return opcode_rows[c->insn.op].select >> KEY_PREFIX_SHIFT & 3;
}

/* Does VEX.L choose between two forms? Of scalar ones it says nothing. */
static bool is_long(const struct interp *c)
{
    for (unsigned n = 0; n < 4; n++)
        if (kind_of(c, n).size == SIZE_X)
            return c->insn.vl;
    return false;
}

/* Does VEX.W? Of the 0F map: with a general register; outside 64-bit code decode() has cleared it. */
static bool is_wide(const struct interp *c)
{
    unsigned op = c->insn.opcode;

    if (!(c->insn.rex & 8))
        return false;
    if (c->insn.map == MAP_V1)
        return op == 0x2a || op == 0x2c || op == 0x2d;
    if (c->insn.map == MAP_V3)
        return op <= 1 || op == 0x16 || op == 0x22 || op == 0xce || op == 0xcf;
    return opcode_rows[c->insn.op].select & SELECT(KEY_W, 0);
}

static const uint8_t *immediate_stub(const struct interp *c)
{
    unsigned imm = c->insn.imm & 0xff, map = c->insn.map == MAP_V3 ? 3 : 1;

    if (map == 3 && c->insn.opcode >= 0x4a && c->insn.opcode <= 0x4c)
        return host_vex_blend[c->insn.vl][c->insn.opcode - 0x4a];
    if (map == 3 && c->insn.opcode == 0x21 && c->insn.memory)
        imm &= 0x3f; // VINSERTPS from memory has one source element
    switch (map << 16 | prefix_of(c) << 12 | (unsigned)is_wide(c) << 9 | (unsigned)is_long(c) << 8 |
            c->insn.opcode) {
#define IMM(name, map, prefix, w, l, opcode)                                 \
    case (map) << 16 | (prefix) << 12 | (w) << 9 | (l) << 8 | (opcode): \
        return host_imm_##name[imm];
#include "vmm/cpu/host_vex_imm.def"
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
    if (c->insn.map == MAP_V2)
        return host_vex_38[is_wide(c)][is_long(c)][c->insn.opcode];
    return host_vex_0f[is_wide(c) ? prefix + 6 : prefix + (is_long(c) ? 4 : 0)][c->insn.opcode];
}

static enum interp_status enter(struct interp *c)
{
    if (host_feature_needed(&c->insn) & ~c->host)
        return exec_fault(c, EXCEPTION_UD);
    return xstate_enter_vector(c);
}

/*
 * After enter() and not before: the C library's memset() uses vector registers, in which the
 * guest's may be until then (engine_ops.live_vectors).
 */
static void prepare(struct host_vex *v)
{
    memset(v, 0, sizeof *v);
    v->mxcsr = MXCSR_INIT;
}

/* The operand in modrm.rm, unless it is where the result goes. */
static enum interp_status load_rm(struct interp *c, struct host_vex *v)
{
    for (unsigned n = 1; n < 4; n++) {
        unsigned class = kind_of(c, n).class;

        if (class == OC_RM && !c->insn.memory)
            v->rdx = c->state->gpr[c->insn.rm];
        else if (class == OC_RM)
            TRY(exec_get(c, n, &v->rdx));
        else if (class == OC_VRM && c->insn.memory)
            TRY(xstate_load(c, size_of(c, n), false, v->ymm[2]));
        else if (class == OC_VRM)
            xstate_get_vector(c, c->insn.rm, 32, v->ymm[2]);
    }
    return INTERP_DONE;
}

static enum interp_status load_operands(struct interp *c, struct host_vex *v)
{
    const struct insn *insn = &c->insn;
    unsigned last = insn->imm >> 4 & (c->mode == 8 ? 15 : 7);

    TRY(load_rm(c, v));
    xstate_get_vector(c, insn->vvvv, 32, v->ymm[0]);
    xstate_get_vector(c, insn->reg, 32, v->ymm[1]);
    if (opcode_rows[insn->op].operand[3] == OPERAND_Lx)
        xstate_get_vector(c, last, 32, v->ymm[3]);
    return INTERP_DONE;
}

/* A result that may be tiny, by its lanes. */
static bool exact_underflow(const struct interp *c, const struct host_vex *v)
{
    static const uint8_t sizes[4] = {4, 8, 4, 8};
    unsigned op = c->insn.opcode, prefix = prefix_of(c), size = sizes[prefix],
             length = size_of(c, 0);
    bool scalar = prefix >= 2;

    if (c->insn.map == MAP_V2) { // FMA
        if (op < 0x96 || op > 0xbf)
            return false;
        size = c->insn.rex & 8 ? 8 : 4;
        scalar = (op & 15) >= 8 && (op & 1);
    } else if (c->insn.map == MAP_V3) {
        if (op == 0x1d)
            return float_tiny(v->ymm[2], length / 2, 2);
        if (op != 0x40 && op != 0x41)
            return false;
        size = op == 0x40 ? 4 : 8;
    } else if (op == 0x5a) { // to single precision
        if (!(prefix & 1))
            return false;
        size = 4;
        length = prefix == 1 && !c->insn.vl ? 8 : 16;
    } else if (op == 0x7c || op == 0x7d || op == 0xd0) {
        size = prefix == 1 ? 8 : 4;
        scalar = false;
    } else if (op != 0x58 && op != 0x59 && op != 0x5c && op != 0x5e) {
        return false;
    }
    return float_tiny(v->ymm[1], scalar ? 1 : length / size, size);
}

static enum interp_status run_float(struct interp *c, struct host_vex *v)
{
    uint32_t mxcsr = xstate_mxcsr(c);

    v->mxcsr = float_begin(mxcsr);
    host_vex_run(v, stub_of(c));
    return float_end(c, mxcsr, v->mxcsr,
                     !(mxcsr >> 7 & FLOAT_UNDERFLOW) && exact_underflow(c, v));
}

static void set_flags(struct interp *c, const struct host_vex *v)
{
    c->state->rflags = (c->state->rflags & ~RFLAGS_STATUS) | (v->rflags & RFLAGS_STATUS);
}

static enum interp_status store_result(struct interp *c, const struct host_vex *v)
{
    unsigned class = kind_of(c, 0).class, size = size_of(c, 0);

    if (class == OC_VREG)
        xstate_set_vector(c, c->insn.reg, size, v->ymm[1]);
    else if (class == OC_REG)
        exec_set_reg(c, c->insn.reg, 8, v->rcx);
    else if (c->insn.memory)
        return xstate_store(c, size, false, v->ymm[2]);
    else
        xstate_set_vector(c, c->insn.rm, 16, v->ymm[2]);
    return INTERP_DONE;
}

enum interp_status exec_avx(struct interp *c)
{
    struct host_vex v;

    TRY(enter(c));
    prepare(&v);
    TRY(load_operands(c, &v));
    host_vex_run(&v, stub_of(c));
    return store_result(c, &v);
}

enum interp_status exec_avx_float(struct interp *c)
{
    struct host_vex v;

    TRY(enter(c));
    prepare(&v);
    TRY(load_operands(c, &v));
    TRY(run_float(c, &v));
    return store_result(c, &v);
}

enum interp_status exec_avx_comis(struct interp *c)
{
    struct host_vex v;

    TRY(enter(c));
    prepare(&v);
    TRY(load_operands(c, &v));
    TRY(run_float(c, &v));
    set_flags(c, &v);
    return INTERP_DONE;
}

enum interp_status exec_avx_test(struct interp *c)
{
    struct host_vex v;

    TRY(enter(c));
    prepare(&v);
    TRY(load_operands(c, &v));
    host_vex_run(&v, stub_of(c));
    set_flags(c, &v);
    return INTERP_DONE;
}

/* Shifts by an immediate: the count is the same operand in a register. */
enum interp_status exec_avx_shift(struct interp *c)
{
    static const uint8_t opcodes[8] = {0, 0, 0xd0, 0, 0xe0, 0, 0xf0, 0};
    const struct insn *insn = &c->insn;
    struct host_vex v;
    unsigned opcode = opcodes[insn->modrm >> 3 & 7] + (insn->opcode & 3u);

    TRY(enter(c));
    prepare(&v);
    xstate_get_vector(c, insn->rm, 32, v.ymm[0]);
    v.ymm[2][0] = (uint8_t)insn->imm;
    host_vex_run(&v, host_vex_0f[insn->vl ? 5 : 1][opcode]);
    xstate_set_vector(c, insn->vvvv, size_of(c, 0), v.ymm[1]);
    return INTERP_DONE;
}

/* VPSRLDQ, VPSLLDQ: by bytes, each half by itself. */
enum interp_status exec_avx_shift_bytes(struct interp *c)
{
    bool left = (c->insn.modrm >> 3 & 7) == 7;
    unsigned count = c->insn.imm & 0xff;
    uint8_t from[32], to[32] = {0};

    TRY(enter(c));
    xstate_get_vector(c, c->insn.rm, 32, from);
    for (unsigned half = 0; half < 32; half += 16)
        for (unsigned i = count; i < 16; i++)
            to[half + (left ? i : i - count)] = from[half + (left ? i - count : i)];
    xstate_set_vector(c, c->insn.vvvv, size_of(c, 0), to);
    return INTERP_DONE;
}

/* VPEXTRB and the like: to memory the element, to a register the element zero-extended. */
enum interp_status exec_avx_extract(struct interp *c)
{
    struct host_vex v;
    unsigned size = exec_operand_size(c, 0);

    TRY(enter(c));
    prepare(&v);
    xstate_get_vector(c, c->insn.reg, 16, v.ymm[1]);
    host_vex_run(&v, stub_of(c));
    if (c->insn.memory)
        return exec_write(c, c->insn.segment, exec_address(c), size, v.rdx & alu_mask(size));
    exec_set_reg(c, c->insn.rm, 8, v.rdx);
    return INTERP_DONE;
}

enum interp_status exec_avx_string(struct interp *c)
{
    struct host_vex v;

    TRY(enter(c));
    prepare(&v);
    TRY(load_operands(c, &v));
    v.rax = sse_string_length(c, CPU_RAX);
    v.rdx = sse_string_length(c, CPU_RDX);
    host_vex_run(&v, stub_of(c));
    if (c->insn.opcode & 1)
        exec_set_reg(c, CPU_RCX, 8, (uint32_t)v.rcx);
    else
        xstate_set_vector(c, 0, 16, v.ymm[0]);
    set_flags(c, &v);
    return INTERP_DONE;
}

/*
 * VZEROUPPER, VZEROALL: of the registers that the mode has. Where these are all, what is zero is no longer in use:
 * a guest sees that in the image of its next XSAVE.
 */
enum interp_status exec_avx_zero(struct interp *c)
{
    static const uint8_t zero[32];
    uint8_t low[16];

    TRY(enter(c));
    if (c->mode == 8) {
        xstate_not_used(c, c->insn.vl ? XSTATE_AVX | XSTATE_SSE : XSTATE_AVX);
        return INTERP_DONE;
    }
    for (unsigned i = 0; i < 8; i++) {
        xstate_get_vector(c, i, 16, low);
        xstate_set_vector(c, i, 16, c->insn.vl ? zero : low);
    }
    return INTERP_DONE;
}

/* One element, or half a register, in all places. */
enum interp_status exec_avx_broadcast(struct interp *c)
{
    unsigned size = size_of(c, 1);
    uint8_t value[32];

    TRY(enter(c));
    if (c->insn.memory)
        TRY(xstate_load(c, size, false, value));
    else
        xstate_get_vector(c, c->insn.rm, size, value);
    for (unsigned i = size; i < 32; i += size)
        memcpy(value + i, value, size);
    xstate_set_vector(c, c->insn.reg, size_of(c, 0), value);
    return INTERP_DONE;
}
