/* SPDX-License-Identifier: MIT */
/* Random registers, flags and memory for a form. */
#include "tests/cpu/forms.h"
#include "tests/cpu/native.h"
#include "tests/cpu/values.h"
#include "tests/unit/random.h"
#include "vmm/cpu/xstate.h"

#include <string.h>

/*
 * Gives the base register the value that puts the operand at `where`; false for what cannot be
 * placed (RIP-relative, no base).
 */
static bool place(struct test *t, const struct insn *insn, uint64_t where)
{
    uint64_t index = 0, *gpr = native_state.gpr;

    if (insn->base == INSN_NO_REG || insn->base == INSN_RIP || insn->base == insn->index ||
        insn->addrsize == 2)
        return false;
    if (insn->index != INSN_NO_REG && !(opcode_rows[insn->op].properties & P_VSIB)) {
        gpr[insn->index] = random_below(&t->random, 200);
        index = gpr[insn->index] << insn->scale;
    }
    gpr[insn->base] = where - index - (uint64_t)(int64_t)insn->disp;
    if (insn->addrsize == 4)
        gpr[insn->base] = (uint32_t)gpr[insn->base] | random_u64(&t->random) << 32;
    return true;
}

/*
 * An area for XSAVE and the like, whose header is valid now and then; EDX:EAX asks for what the
 * guest has. Returns where, at times not aligned.
 */
static uint64_t put_area(struct test *t, const struct insn *insn)
{
    uint64_t x = random_u64(&t->random), *gpr = native_state.gpr, bv = x & 7, format = 0;
    uint8_t *area = t->arena.data + 1024 + 64 * random_below(&t->random, 16);

    t->area = area;
    if ((x >> 8 & 3) == 0)
        format = (x >> 16 & 7) | (x >> 20 & 7 ? 1ull << 63 : 0);
    if ((x >> 10 & 7) == 0)
        bv |= x >> 24 & 0x100;
    if (x >> 32 & 7) {
        memset(area + 512, 0, 64);
        memcpy(area + 512, &bv, 8);
        memcpy(area + 520, &format, 8);
    }
    if (x >> 36 & 7)
        values_put16(area + 26, 0);
    memset(area + 6, 0, 18); // not pointers that the native side loads in another form
    gpr[CPU_RAX] = x >> 40 & 7;
    gpr[CPU_RDX] = 0;
    if (insn->base == CPU_RAX || insn->base == CPU_RDX || insn->index == CPU_RAX ||
        insn->index == CPU_RDX)
        return 0;
    return (uint64_t)(uintptr_t)area + (x >> 44 & 15 ? 0 : 8);
}

/* FLDENV, FNSTENV, FRSTOR, FNSAVE: accesses in an order of the processor's own. */
static bool is_environment(const struct rule *rule, const struct insn *insn)
{
    return rule->kind == X87 && (insn->opcode == 0xd9 || insn->opcode == 0xdd) &&
           (insn->modrm & 0x28) == 0x20;
}

/*
 * An operand that faults, or all but does: across the end of the data page, behind which there is
 * nothing, or across its beginning, before which there is a page that can only be read.
 */
static bool put_at_edge(struct test *t, const struct rule *rule, const struct insn *insn,
                        uint64_t *where)
{
    uint64_t data = (uint64_t)(uintptr_t)t->arena.data;

    if (!t->paging || random_below(&t->random, 16) || rule->kind == XSTATE ||
        (rule->kind >= STRING && rule->kind < VECTOR) ||
        (opcode_rows[insn->op].properties & P_VSIB) || is_environment(rule, insn))
        return false;
    if (random_below(&t->random, 2))
        *where = data + DATA_SIZE - random_below(&t->random, 40);
    else
        *where = data - random_below(&t->random, 40);
    return true;
}

/* Registers, flags and memory for the form; false if this encoding cannot be tried. */
bool form_prepare(struct test *t, const struct rule *rule, const struct insn *insn)
{
    struct arena *a = &t->arena;
    uint64_t *gpr = native_state.gpr, stack = (uint64_t)(uintptr_t)a->stack + 2048,
             data = (uint64_t)(uintptr_t)a->data;
    bool vector = rule->kind == VECTOR || rule->kind == FLOAT;
    bool aligned = rule->skip16 || random_below(&t->random, vector ? 16 : 4) != 0;
    uint64_t where = data + 1024 + random_below(&t->random, 2048);
    bool edge;

    if (aligned)
        where &= ~31ull;
    for (unsigned i = 0; i < 16; i++)
        gpr[i] = values_pick(&t->random);
    gpr[CPU_RSP] = stack & ~7ull;
    native_state.rflags = 0x202 | (random_u64(&t->random) & (RFLAGS_STATUS | RFLAGS_DF));
    memcpy(a->data, a->fill[0], DATA_SIZE);
    memcpy(a->stack, a->fill[1], DATA_SIZE);
    for (unsigned i = 0; i < 8; i++) { // around the operand and the top of the stack
        uint64_t x = values_pick(&t->random);

        memcpy((uint8_t *)(uintptr_t)(where & ~7ull) + 8 * i - 16, &x, 8);
        x = values_pick(&t->random);
        memcpy(a->stack + 2048 + 8 * i - 16, &x, 8);
    }
    if (rule->kind == XSTATE)
        where = put_area(t, insn);
    else if (rule->kind >= FLOAT)
        values_put_numbers(&t->random, (uint8_t *)(uintptr_t)where);
    if (insn->addrsize == 2 && rule->kind != BRANCH)
        return false; // the arena is not in the first 64 KiB
    if (rule->kind == STRING) {
        gpr[CPU_RSI] = data + 2048 + random_below(&t->random, 64);
        gpr[CPU_RDI] = data + 2048 + random_below(&t->random, 64);
        gpr[CPU_RCX] = random_below(&t->random, 12);
        if (random_below(&t->random, 2)) // long runs of equal elements
            memset(a->data, 0, DATA_SIZE);
        if (insn->addrsize == 4)
            gpr[CPU_RCX] |= random_u64(&t->random) << 32;
        return true;
    }
    if (!strncmp(rule->handler, "maskmov", 7))
        gpr[CPU_RDI] = where;
    if (rule->handler[0] == 'x' && rule->handler[1] == 'l') // XLAT
        gpr[CPU_RBX] = data + 1024;
    if (insn->prefixes & INSN_ADDRESS && !insn->memory && rule->kind != BRANCH &&
        opcode_rows[insn->op].imm != IMM_MOFFS)
        return false;
    if (rule->kind == BRANCH && random_below(&t->random, 3) == 0)
        gpr[CPU_RCX] = random_below(&t->random, 3);
    if (!strcmp(rule->handler, "leave") || !strcmp(rule->handler, "enter"))
        gpr[CPU_RBP] = stack + random_below(&t->random, 256);
    if (rule->kind == POPF || rule->kind == RETURN || rule->kind == CALL) {
        uint64_t image = rule->kind == POPF ? random_u64(&t->random) & 0x204ed5
                                            : (uint64_t)(uintptr_t)a->code + EXIT_FAR;

        memcpy(a->stack + 2048, &image, 8);
        if (rule->kind == CALL && !insn->memory)
            gpr[insn->rm] = image;
    }
    if (!insn->memory)
        return rule->kind != CALL || insn->rm != CPU_RSP;
    if (insn->reg == CPU_RSP && rule->kind != PLAIN && rule->kind != BIT && rule->kind < VECTOR)
        return false;
    edge = put_at_edge(t, rule, insn, &where);
    if (where == 0 || !place(t, insn, where))
        return false;
    if (rule->kind == CALL) {
        uint64_t image = (uint64_t)(uintptr_t)a->code + EXIT_FAR;

        memcpy((uint8_t *)(uintptr_t)where, &image, 8);
    }
    if (rule->kind == BIT && insn->opcode != 0xba) {
        if (insn->reg == insn->base || insn->reg == insn->index)
            return false;
        gpr[insn->reg] =
            (gpr[insn->reg] & ~0xffffull) | ((random_below(&t->random, 4096) - 2048) & 0xffff);
        gpr[insn->reg] = (uint64_t)(int16_t)gpr[insn->reg];
    }
    /* cmpxchg should succeed now and then */
    if (!edge && !strncmp(rule->handler, "cmpxchg", 7) && random_below(&t->random, 2) &&
        insn->base != CPU_RAX && insn->index != CPU_RAX && insn->base != CPU_RDX &&
        insn->index != CPU_RDX) {
        memcpy(&gpr[CPU_RAX], (uint8_t *)(uintptr_t)where, 8);
        if (insn->rex & 8)
            memcpy(&gpr[CPU_RDX], (uint8_t *)(uintptr_t)where + 8, 8);
        else if (rule->handler[7])
            memcpy(&gpr[CPU_RDX], (uint8_t *)(uintptr_t)where + 4, 4);
    }
    return !(insn->base == CPU_RSP &&
             (rule->kind == STACK || rule->kind == CALL || rule->kind == RETURN));
}

/* Of a gather: near the base, below it too. */
static void put_indexes(struct test *t, const struct insn *insn)
{
    unsigned size = insn->opcode & 1 ? 8 : 4;

    for (unsigned i = 0; i < 32; i += size) {
        uint8_t *to = native_state.xsave + (i < 16 ? XSAVE_XMM : XSAVE_YMMH - 16) +
                      16 * insn->index + i;
        int64_t index = (int64_t)random_below(&t->random, 200) - 100;

        memcpy(to, &index, size);
    }
}

/*
 * The same registers for both. Dot products have steps of which the interpreter does not see the
 * exceptions one by one.
 */
void form_fill_vectors(struct test *t, enum kind kind, const struct insn *insn)
{
    static const enum values_kind kinds[] = {
        [VECTOR] = VALUES_INTEGER, [FLOAT] = VALUES_FLOAT, [X87] = VALUES_X87,
        [XSTATE] = VALUES_XSTATE,
    };
    bool masked = (insn->map == MAP_3A || insn->map == MAP_V3) && (insn->opcode & 0xfe) == 0x40;

    values_fill_image(&t->random, kinds[kind], masked, native_state.xsave);
    if (opcode_rows[insn->op].properties & P_VSIB)
        put_indexes(t, insn);
    memcpy(t->state->xsave, native_state.xsave, 1024);
}

void form_set_state(struct test *t)
{
    struct cpu_state *s = t->state;

    memset(s, 0, sizeof *s);
    memcpy(s->gpr, native_state.gpr, sizeof s->gpr);
    s->rsp = native_state.gpr[CPU_RSP];
    s->rflags = native_state.rflags;
    s->rip = (uint64_t)(uintptr_t)t->arena.code;
    s->valid = CPU_ALL;
    s->ss.attr = CPU_SEG_G | CPU_SEG_DB | CPU_SEG_P | CPU_SEG_S | 0x3 | CPU_SEG_DPL;
    s->ss.limit = 0xffffffff;
    s->ds = s->es = s->cs = s->ss;
    s->cs.attr = (uint16_t)(CPU_SEG_P | CPU_SEG_S | 0xb | CPU_SEG_DPL |
                            (t->mode == 8 ? CPU_SEG_L : CPU_SEG_DB | CPU_SEG_G));
    s->cr0 = CR0_PE | CR0_MP | CR0_NE;
    s->cr4 = CR4_OSFXSR | CR4_OSXSAVE | CR4_OSXMMEXCPT;
    s->xcr0 = 7;
    s->efer = EFER_LMA;
}

/*
 * 32-bit code has no upper halves. In 64-bit code the manuals leave open, and the interpreter does
 * as Intel's processors, what becomes of them in a register that CMPXCHG leaves alone and in RCX
 * after no iteration: other processors start with zeros there.
 */
void form_clear_upper_halves(const struct test *t, const struct rule *rule,
                             const struct insn *insn)
{
    bool open = !strcmp(rule->handler, "cmpxchg") || (rule->kind == STRING && insn->addrsize == 4);

    for (unsigned i = 0; i < 16; i++)
        if (t->mode == 4 || (open && !t->intel && !(insn->memory && i == insn->base)))
            native_state.gpr[i] = (uint32_t)native_state.gpr[i];
}
