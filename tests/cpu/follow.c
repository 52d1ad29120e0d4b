/* SPDX-License-Identifier: MIT */
/* The host's code of one block of the recompiler, followed by Zydis. */
#include "tests/cpu/follow.h"

#include <stdio.h>
#include <string.h>

#define STATE_END (int64_t)(sizeof(struct rec_cpu) - offsetof(struct rec_cpu, state))
#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))

/* One instruction of either side. */
struct decoded {
    uint64_t at;
    ZydisDecodedInstruction i;
    ZydisDecodedOperand o[ZYDIS_MAX_OPERAND_COUNT];
};

static bool fail(struct follow *f, const char *what)
{
    if (!f->what)
        f->what = what;
    return false;
}

static unsigned gpr(ZydisRegister reg)
{
    switch (ZydisRegisterGetClass(reg)) {
    case ZYDIS_REGCLASS_GPR8: case ZYDIS_REGCLASS_GPR16: case ZYDIS_REGCLASS_GPR32: case ZYDIS_REGCLASS_GPR64:
        return (unsigned)(ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg) - ZYDIS_REGISTER_RAX);
    default: return NO_REG;
    }
}

static bool is_reg(const ZydisDecodedOperand *o, unsigned reg)
{
    return o->type == ZYDIS_OPERAND_TYPE_REGISTER && gpr(o->reg.value) == reg;
}

static bool is_access(const ZydisDecodedOperand *o)
{
    return o->type == ZYDIS_OPERAND_TYPE_MEMORY && o->mem.type != ZYDIS_MEMOP_TYPE_AGEN && o->actions;
}

static struct value new_value(struct follow *f)
{
    return (struct value){++f->ids, 0};
}

static bool same(struct value a, struct value b)
{
    return a.id == b.id && a.offset == b.offset;
}

/* --- What is in memory --- */

/* What a block may write of the vCPU. */
static bool is_state(int64_t at, unsigned size)
{
    static const struct {
        int64_t at;
        unsigned size;
    } fields[] = {
        {AT(state.gpr), 128}, {AT(state.rflags), 8}, {AT(state.fs.base), 8}, {AT(state.gs.base), 8},
        {AT(state.kernel_gs_base), 8}, {AT(flags), 3}, {AT(page), 8}, {AT(value), 8}, {AT(address), 8},
        {AT(addend), sizeof(((struct rec_cpu *)0)->addend)}, {AT(offset), 4}, {AT(argument), 4}, {AT(after_sti), 4},
        {AT(view_base), 8}, {AT(view), 8},
    };

    for (unsigned n = 0; n < COUNT(fields); n++)
        if (at >= fields[n].at && at + size <= fields[n].at + fields[n].size)
            return true;
    return false;
}

/*
 * The window that an operand by R15 is in, as from the operand's first byte. Outside 64-bit code a register that has moved since the
 * check, 32 bits of it, may have wrapped: it has to be in the window itself.
 */
static bool find_window(struct follow *f, const ZydisDecodedOperandMem *m, struct window *w)
{
    unsigned base = gpr(m->base), index = m->index == ZYDIS_REGISTER_NONE ? NO_REG : gpr(m->index), other;
    int64_t distance = m->disp.value;
    struct value v;

    if (m->segment == ZYDIS_REGISTER_GS || m->segment == ZYDIS_REGISTER_FS || m->scale > 1)
        return fail(f, "guest memory by a segment or scaled");
    if (base != R15 && index != R15)
        return fail(f, "an operand by no checked register");
    other = base == R15 ? index : base;
    *w = f->r15.window;
    if (f->r15.kind == BASE_POINTER) {
        if (other != NO_REG)
            return fail(f, "a pointer with an index");
    } else if (f->r15.kind == BASE_PAGE) {
        if (other != R14 || !f->is_offset || !f->compared || f->stack_check)
            return fail(f, "a page without the offset in it");
    } else if (f->r15.kind == BASE_ADDEND) {
        if (other == R14 && f->is_offset)
            return fail(f, "an addend and an offset");
        if (other >= 16 || f->reg[other].id != f->r15.of.id)
            return fail(f, "an addend and another address");
        v = f->reg[other];
        if (!(f->block->mode & REC_MODE_64) && v.offset != f->r15.start.offset &&
            (v.offset - f->r15.of.offset < w->low || v.offset - f->r15.of.offset >= w->high))
            return fail(f, "a register of 32 bits may have wrapped");
        distance += v.offset - f->r15.of.offset;
    } else {
        return fail(f, "nothing is checked");
    }
    w->low -= distance;
    w->high -= distance;
    return true;
}

/* R14 has the view's address, and is used. */
static bool is_view(const struct follow *f, const ZydisDecodedOperandMem *m)
{
    return f->is_view && m->segment != ZYDIS_REGISTER_GS && m->base == ZYDIS_REGISTER_R14 && m->index == ZYDIS_REGISTER_R15;
}

static bool has_trap(const struct follow *f, uint64_t at)
{
    const struct block_trap *trap =
        (const struct block_trap *)(const void *)((const uint8_t *)f->blocks->code.writable + f->block->traps);

    for (unsigned n = 0; n < f->block->trap_count; n++)
        if (blocks_address(f->blocks, f->block->code) + trap[n].host == at)
            return true;
    return false;
}

static bool follow_access(struct follow *f, const struct decoded *d, const ZydisDecodedOperand *o)
{
    const ZydisDecodedOperandMem *m = &o->mem;
    bool writes = o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
    unsigned size = o->size / 8u;
    struct window w;

    if (!size || m->type != ZYDIS_MEMOP_TYPE_MEM || d->i.address_width != 64)
        return fail(f, "an operand of unknown size or kind");
    if (m->base == ZYDIS_REGISTER_RSP && d->i.mnemonic == ZYDIS_MNEMONIC_CALL)
        return true;
    if (m->base == ZYDIS_REGISTER_RSP) {
        if (m->index != ZYDIS_REGISTER_NONE || m->disp.value < 0 || m->disp.value + size > STATE_END)
            return fail(f, "outside of the state");
        return !writes || is_state(m->disp.value, size) || fail(f, "a field that blocks do not write");
    }
    if (is_view(f, m)) {
        bool by_index = m->scale == 8 && f->r15.kind == BASE_INDEX, by_entry = m->scale <= 1 && f->r15.kind == BASE_ENTRY;

        return (!writes && (by_index || by_entry) && m->disp.value == (int64_t)offsetof(struct view, addend)) ||
               fail(f, "not in the view by its address");
    }
    if (m->segment == ZYDIS_REGISTER_GS) {
        bool by_index = m->base == ZYDIS_REGISTER_NONE && m->index == ZYDIS_REGISTER_R15 && m->scale == 8 && f->r15.kind == BASE_INDEX,
             by_entry = m->base == ZYDIS_REGISTER_R15 && m->index == ZYDIS_REGISTER_NONE && f->r15.kind == BASE_ENTRY;

        if (writes || !(by_index || by_entry) || m->disp.value < 0 || m->disp.value + 8 * VIEW_ENTRIES > (int64_t)sizeof(struct view))
            return fail(f, "not in the view");
        return true;
    }
    f->accesses++;
    if (f->unsure && !has_trap(f, d->at))
        return fail(f, "the first by the stack's page is not in the table of traps");
    f->unsure = false;
    if (!find_window(f, m, &w))
        return false;
    if (w.low > 0 || w.high < (int64_t)size)
        return fail(f, "longer than what is checked");
    return !writes || w.write || fail(f, "written without leave");
}

/* --- One instruction --- */

/* What blocks are made of besides copies. */
static bool is_ours(ZydisMnemonic mnemonic)
{
    static const ZydisMnemonic some[] = {
        ZYDIS_MNEMONIC_MOV, ZYDIS_MNEMONIC_LEA, ZYDIS_MNEMONIC_PEXT, ZYDIS_MNEMONIC_RORX, ZYDIS_MNEMONIC_SUB, ZYDIS_MNEMONIC_CMP, ZYDIS_MNEMONIC_JMP,
        ZYDIS_MNEMONIC_CALL, ZYDIS_MNEMONIC_LAHF, ZYDIS_MNEMONIC_SAHF, ZYDIS_MNEMONIC_SETO, ZYDIS_MNEMONIC_ADD, ZYDIS_MNEMONIC_NOP,
        ZYDIS_MNEMONIC_AND, ZYDIS_MNEMONIC_OR, ZYDIS_MNEMONIC_XOR, ZYDIS_MNEMONIC_SHL, ZYDIS_MNEMONIC_SHR, ZYDIS_MNEMONIC_SAR,
        ZYDIS_MNEMONIC_IMUL, ZYDIS_MNEMONIC_TEST, ZYDIS_MNEMONIC_MOVZX, ZYDIS_MNEMONIC_MOVSXD, ZYDIS_MNEMONIC_XCHG,
        ZYDIS_MNEMONIC_LFENCE, ZYDIS_MNEMONIC_MFENCE, ZYDIS_MNEMONIC_SFENCE,
    };

    for (unsigned n = 0; n < COUNT(some); n++)
        if (some[n] == mnemonic)
            return true;
    return false;
}

/* Kinds of instructions that are harmless with a checked operand: all that is computing and moving. */
static bool is_harmless(const struct decoded *d)
{
    if (d->i.meta.isa_set == ZYDIS_ISA_SET_SSE4A)
        return false; // not offered, nor executed
    switch (d->i.meta.category) {
    case ZYDIS_CATEGORY_ADOX_ADCX: case ZYDIS_CATEGORY_AES: case ZYDIS_CATEGORY_AVX: case ZYDIS_CATEGORY_AVX2: case ZYDIS_CATEGORY_BINARY:
    case ZYDIS_CATEGORY_BITBYTE: case ZYDIS_CATEGORY_BMI1: case ZYDIS_CATEGORY_BMI2: case ZYDIS_CATEGORY_BROADCAST: case ZYDIS_CATEGORY_CMOV:
    case ZYDIS_CATEGORY_CONVERT: case ZYDIS_CATEGORY_DATAXFER: case ZYDIS_CATEGORY_FCMOV: case ZYDIS_CATEGORY_FLAGOP: case ZYDIS_CATEGORY_GFNI:
    case ZYDIS_CATEGORY_LOGICAL: case ZYDIS_CATEGORY_LOGICAL_FP: case ZYDIS_CATEGORY_LZCNT: case ZYDIS_CATEGORY_MMX: case ZYDIS_CATEGORY_NOP:
    case ZYDIS_CATEGORY_PCLMULQDQ: case ZYDIS_CATEGORY_ROTATE: case ZYDIS_CATEGORY_SEMAPHORE: case ZYDIS_CATEGORY_SETCC: case ZYDIS_CATEGORY_SHA:
    case ZYDIS_CATEGORY_SHIFT: case ZYDIS_CATEGORY_SSE: case ZYDIS_CATEGORY_STTNI: case ZYDIS_CATEGORY_VAES: case ZYDIS_CATEGORY_VEX:
    case ZYDIS_CATEGORY_VFMA: case ZYDIS_CATEGORY_VPCLMULQDQ: case ZYDIS_CATEGORY_X87_ALU: case ZYDIS_CATEGORY_BLEND:
        return !(d->i.attributes & ZYDIS_ATTRIB_IS_PRIVILEGED);
    default:
        return d->i.mnemonic == ZYDIS_MNEMONIC_LEA;
    }
}

/* May this processor or another refuse it, by an exception of its own or because it lacks it? */
static bool may_trap(const struct decoded *d)
{
    switch (d->i.meta.isa_set) {
    case ZYDIS_ISA_SET_I86: case ZYDIS_ISA_SET_I186: case ZYDIS_ISA_SET_I286REAL: case ZYDIS_ISA_SET_I386: case ZYDIS_ISA_SET_I486:
    case ZYDIS_ISA_SET_I486REAL: case ZYDIS_ISA_SET_PENTIUMREAL: case ZYDIS_ISA_SET_PPRO: case ZYDIS_ISA_SET_CMOV: case ZYDIS_ISA_SET_LAHF:
    case ZYDIS_ISA_SET_LONGMODE: case ZYDIS_ISA_SET_FAT_NOP:
        return d->i.mnemonic == ZYDIS_MNEMONIC_DIV || d->i.mnemonic == ZYDIS_MNEMONIC_IDIV || d->i.mnemonic == ZYDIS_MNEMONIC_CMPXCHG16B;
    case ZYDIS_ISA_SET_SSE2:
        return d->i.mnemonic != ZYDIS_MNEMONIC_MOVNTI; // each processor of 64 bits has it
    case ZYDIS_ISA_SET_LZCNT: case ZYDIS_ISA_SET_BMI1:
        return d->i.mnemonic != ZYDIS_MNEMONIC_LZCNT && d->i.mnemonic != ZYDIS_MNEMONIC_TZCNT; // BSR and BSF without
    default:
        return true;
    }
}

static bool is_copy(const struct follow *f, ZydisMnemonic mnemonic)
{
    for (unsigned n = 0; n < f->copy_count; n++)
        if (f->copies[n] == mnemonic)
            return true;
    return false;
}

static bool may_be_here(struct follow *f, const struct decoded *d)
{
    if (d->i.meta.category == ZYDIS_CATEGORY_COND_BR || (f->x87 && d->i.mnemonic == ZYDIS_MNEMONIC_FNOP))
        return true;
    if (d->i.mnemonic == ZYDIS_MNEMONIC_WRGSBASE) // of STAC and CLAC
        return (f->block->mode & (REC_MODE_SMAP | REC_MODE_USER)) == REC_MODE_SMAP || fail(f, "WRGSBASE");
    if (is_copy(f, d->i.mnemonic)) {
        f->copied++;
        if (!is_harmless(d))
            return fail(f, "a copy of what must not be");
        if (may_trap(d) && !has_trap(f, d->at) && d->i.mnemonic != ZYDIS_MNEMONIC_PEXT && d->i.mnemonic != ZYDIS_MNEMONIC_RORX)
            return fail(f, "not in the table of traps");
        return true;
    }
    return is_ours(d->i.mnemonic) || fail(f, "neither ours nor the guest's");
}

static bool is_field(const ZydisDecodedOperand *o, int32_t at)
{
    return o->type == ZYDIS_OPERAND_TYPE_MEMORY && o->mem.base == ZYDIS_REGISTER_RSP && o->mem.disp.value == at;
}

static bool is_column(const ZydisDecodedOperand *o, size_t at)
{
    return o->type == ZYDIS_OPERAND_TYPE_MEMORY && o->mem.segment == ZYDIS_REGISTER_GS && o->mem.disp.value == (int64_t)at;
}

static bool is_stack_field(const ZydisDecodedOperand *o, size_t within)
{
    int32_t at = AT(stack_page[0]) + (int32_t)within;

    return is_field(o, at) || is_field(o, at + (int32_t)sizeof(struct rec_stack_page));
}

/* The address in R14 becomes how far into a page it is. */
static bool follow_tag(struct follow *f, const struct decoded *d)
{
    const ZydisDecodedOperand *o = d->o;

    if (d->i.mnemonic != ZYDIS_MNEMONIC_SUB || !is_reg(&o[0], R14))
        return false;
    f->stack_check = is_stack_field(&o[1], offsetof(struct rec_stack_page, low));
    f->checked.write = f->stack_check || is_column(&o[1], offsetof(struct view, write));
    if (!f->stack_check && !f->checked.write && !is_column(&o[1], offsetof(struct view, read)))
        return false;
    if (!f->stack_check && !same(f->r15.of, f->reg[R14]))
        return !fail(f, "the index is of another address");
    f->address = f->reg[R14];
    f->reg[R14] = new_value(f);
    f->is_offset = true;
    f->compared = false;
    f->checked.low = f->checked.high = 0;
    return true;
}

/* R15 from memory, an addend that is kept, or made of it. */
static struct base base_loaded(struct follow *f, const ZydisDecodedOperand *o)
{
    struct base b = {.kind = BASE_NONE};
    bool addend = is_column(o, offsetof(struct view, addend)) || (o->type == ZYDIS_OPERAND_TYPE_MEMORY && is_view(f, &o->mem));

    if (addend || is_column(o, offsetof(struct view, host))) {
        if (!(f->is_offset || f->is_view) || !f->compared || f->stack_check || (f->r15.kind != BASE_INDEX && f->r15.kind != BASE_ENTRY))
            fail(f, "loaded before it is checked");
        b.kind = addend ? BASE_ADDEND : BASE_PAGE;
        b.of = b.start = f->address;
        b.window = f->checked;
    } else if (is_stack_field(o, offsetof(struct rec_stack_page, addend))) {
        if (f->is_offset && f->compared && f->stack_check)
            f->stack = (struct base){BASE_ADDEND, f->address, f->reg[R13], f->checked};
        b = f->stack;
    } else if (o->type == ZYDIS_OPERAND_TYPE_MEMORY && o->mem.base == ZYDIS_REGISTER_RSP && o->mem.disp.value >= AT(addend) &&
               o->mem.disp.value < AT(addend) + (int64_t)sizeof(((struct rec_cpu *)0)->addend)) {
        b = f->kept[(o->mem.disp.value - AT(addend)) / 8];
    }
    return b;
}

static struct base base_made(struct follow *f, const struct decoded *d)
{
    const ZydisDecodedOperand *o = d->o;
    struct base b = {.kind = BASE_NONE};

    switch (d->i.mnemonic) {
    case ZYDIS_MNEMONIC_MOV:
        if (o[1].type == ZYDIS_OPERAND_TYPE_MEMORY)
            return base_loaded(f, &o[1]);
        if (is_reg(&o[1], R14) && o[1].size == 64)
            return (struct base){.kind = BASE_COPY, .of = f->reg[R14]};
        break;
    case ZYDIS_MNEMONIC_SHR:
        if (f->r15.kind == BASE_COPY && o[1].imm.value.u == 9)
            return (struct base){.kind = BASE_TURNED, .of = f->r15.of};
        break;
    case ZYDIS_MNEMONIC_RORX:
        if (is_reg(&o[1], R14) && o[1].size == 64 && o[2].imm.value.u == 9)
            return (struct base){.kind = BASE_TURNED, .of = f->reg[R14]};
        break;
    case ZYDIS_MNEMONIC_AND:
        if (f->r15.kind == BASE_TURNED && o[1].imm.value.u == (VIEW_ENTRIES - 1) << 3)
            return (struct base){.kind = BASE_ENTRY, .of = f->r15.of};
        break;
    case ZYDIS_MNEMONIC_PEXT:
        if (is_reg(&o[1], R14) && (is_field(&o[2], AT(tlb_mask)) || is_field(&o[2], AT(jump_mask))))
            return (struct base){.kind = BASE_INDEX, .of = f->reg[R14]};
        break;
    case ZYDIS_MNEMONIC_MOVZX:
        if (is_reg(&o[1], R14) && o[1].size == 8)
            return (struct base){.kind = BASE_INDEX, .of = new_value(f)};
        break;
    case ZYDIS_MNEMONIC_LEA:
        if ((is_reg(&o[0], R15) && o[1].mem.base == ZYDIS_REGISTER_R15) && find_window(f, &o[1].mem, &b.window))
            b.kind = BASE_POINTER;
        break;
    default: break;
    }
    return b;
}

/* What a register has after the instruction. */
static struct value value_made(struct follow *f, const struct decoded *d, unsigned reg)
{
    const ZydisDecodedOperand *o = d->o;
    bool whole = o[0].size == 64 || (reg == R13 && o[0].size == 32 && !(f->block->mode & REC_MODE_64));
    struct value v;

    if (!is_reg(&o[0], reg) || !whole)
        return new_value(f);
    if (d->i.mnemonic == ZYDIS_MNEMONIC_LEA && o[1].mem.index == ZYDIS_REGISTER_NONE && gpr(o[1].mem.base) < 16) {
        v = f->reg[gpr(o[1].mem.base)];
        v.offset += o[1].mem.disp.value;
        return v;
    }
    if (d->i.mnemonic == ZYDIS_MNEMONIC_MOV && o[1].type == ZYDIS_OPERAND_TYPE_REGISTER && o[1].size == 64 && gpr(o[1].reg.value) < 16)
        return f->reg[gpr(o[1].reg.value)];
    if ((d->i.mnemonic == ZYDIS_MNEMONIC_ADD || d->i.mnemonic == ZYDIS_MNEMONIC_SUB) && o[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
        v = f->reg[reg];
        v.offset += d->i.mnemonic == ZYDIS_MNEMONIC_ADD ? o[1].imm.value.s : -o[1].imm.value.s;
        return v;
    }
    return new_value(f);
}

static bool loads_view(const struct decoded *d)
{
    return d->i.mnemonic == ZYDIS_MNEMONIC_MOV && is_reg(&d->o[0], R14) && d->o[0].size == 64 && is_field(&d->o[1], AT(view_base));
}

static bool follow_results(struct follow *f, const struct decoded *d)
{
    const ZydisDecodedOperand *o = d->o;
    struct base made = {.kind = BASE_NONE};
    bool changed = false;

    if (d->i.mnemonic == ZYDIS_MNEMONIC_MOV && is_reg(&o[1], R15) && o[0].type == ZYDIS_OPERAND_TYPE_MEMORY &&
        o[0].mem.base == ZYDIS_REGISTER_RSP && o[0].mem.disp.value >= AT(addend) &&
        o[0].mem.disp.value < AT(addend) + (int64_t)sizeof(((struct rec_cpu *)0)->addend))
        f->kept[(o[0].mem.disp.value - AT(addend)) / 8] = f->r15;
    if (follow_tag(f, d))
        return !f->what;
    if (d->i.mnemonic == ZYDIS_MNEMONIC_CMP && is_reg(&o[0], R14) && f->is_offset && o[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE)
        f->checked.high = 4096 - o[1].imm.value.s;
    for (unsigned n = 0; n < d->i.operand_count; n++) {
        unsigned reg = o[n].type == ZYDIS_OPERAND_TYPE_REGISTER ? gpr(o[n].reg.value) : NO_REG;

        if (o[n].type == ZYDIS_OPERAND_TYPE_REGISTER && (o[n].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) &&
            ZydisRegisterGetClass(o[n].reg.value) == ZYDIS_REGCLASS_SEGMENT)
            return fail(f, "a segment register");
        if (reg == NO_REG || !(o[n].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
            continue;
        if (reg == RSP && d->i.mnemonic != ZYDIS_MNEMONIC_CALL)
            return fail(f, "RSP");
        if (reg == R13 && o[n].size == 64 && !(f->block->mode & REC_MODE_64))
            return fail(f, "an upper half of the stack pointer");
        if (reg == R15) {
            made = base_made(f, d);
            changed = true;
        }
        if (reg == R14) {
            f->is_view = f->is_offset && f->compared && loads_view(d);
            f->is_offset = false;
        }
        f->reg[reg] = value_made(f, d, reg);
    }
    if (changed)
        f->r15 = made;
    return !f->what;
}

/* --- The way --- */

/* One of registers that Zydis does not know, with or without a prefix that means nothing. */
static bool is_x87(struct follow *f, const uint8_t *from, struct decoded *d)
{
    unsigned n = 0;

    while (from[n] == 0x66 || (from[n] & 0xf0) == 0x40)
        n++;
    *d = (struct decoded){.at = d->at, .i = {.length = (uint8_t)(n + 2), .mnemonic = ZYDIS_MNEMONIC_FNOP,
                                             .meta = {.category = ZYDIS_CATEGORY_X87_ALU}}};
    return f->x87 && (from[n] & 0xf8) == 0xd8 && from[n + 1] >= 0xc0 && has_trap(f, d->at);
}

static bool take(struct follow *f, const ZydisDecoder *zydis, uint64_t at, struct decoded *d)
{
    const uint8_t *from = (const uint8_t *)f->blocks->code.writable + (at - (uint64_t)(uintptr_t)f->blocks->code.executable);
    static ZydisFormatter formatter;
    static bool ready;

    d->at = at;
    if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(zydis, from, 15, &d->i, d->o)) && !is_x87(f, from, d))
        return fail(f, "no instruction");
    if (f->verbose && f->lines < FOLLOW_LINES) {
        if (!ready)
            ready = ZYAN_SUCCESS(ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL));
        ZydisFormatterFormatInstruction(&formatter, &d->i, d->o, d->i.operand_count_visible, f->line[f->lines++],
                                        sizeof(f->line[0]), at - (uint64_t)(uintptr_t)f->blocks->code.executable, NULL);
    }
    return true;
}

static uint64_t target(const struct decoded *d)
{
    uint64_t to = 0;

    (void)ZydisCalcAbsoluteAddress(&d->i, &d->o[0], d->at, &to);
    return to;
}

/* The miss: it comes back where R15 has been loaded, having asked for no less than the check. */
static bool follow_miss(struct follow *f, const ZydisDecoder *zydis, uint64_t at, uint64_t back)
{
    struct decoded d;
    uint32_t kind;

    for (unsigned n = 0; n < 16; n++) {
        if (!take(f, zydis, at, &d))
            return false;
        at += d.i.length;
        if (d.i.mnemonic == ZYDIS_MNEMONIC_CALL)
            break;
    }
    if (d.i.mnemonic != ZYDIS_MNEMONIC_CALL || target(&d) != f->blocks->stubs.fill || !take(f, zydis, at, &d) ||
        d.i.mnemonic != ZYDIS_MNEMONIC_JMP || d.i.length != 5 || target(&d) != back)
        return fail(f, "a miss does not come back");
    memcpy(&kind, (const uint8_t *)f->blocks->code.writable + (at + 7 - (uint64_t)(uintptr_t)f->blocks->code.executable), 4);
    if (REC_ACCESS_SIZE(kind) != f->checked.high || !!(kind & REC_ACCESS_STACK) != f->stack_check)
        return fail(f, "a miss asks for something else");
    if (!f->stack_check && f->checked.write != !!(kind & (REC_ACCESS_WRITE | REC_ACCESS_WRITTEN)))
        return fail(f, "a miss does not ask to write");
    return true;
}

static void forget(struct follow *f)
{
    for (unsigned n = 0; n < 16; n++)
        f->reg[n] = new_value(f);
    f->r15 = f->stack = (struct base){.kind = BASE_NONE};
    for (unsigned n = 0; n < COUNT(f->kept); n++)
        f->kept[n].kind = BASE_NONE;
    f->is_offset = f->is_view = f->compared = f->unsure = false;
}

static bool follow_host(struct follow *f)
{
    uint64_t at = blocks_address(f->blocks, f->block->direct), miss = 0;
    ZydisDecoder zydis;
    struct decoded d;

    ZydisDecoderInit(&zydis, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    forget(f);
    for (unsigned count = 0; count < 4000; count++) {
        if (!take(f, &zydis, at, &d) || !may_be_here(f, &d))
            return false;
        at += d.i.length;
        for (unsigned n = 0; n < d.i.operand_count; n++)
            if (is_access(&d.o[n]) && d.i.mnemonic != ZYDIS_MNEMONIC_NOP && !follow_access(f, &d, &d.o[n]))
                return false;
        if (d.i.mnemonic == ZYDIS_MNEMONIC_CALL) {
            if (d.o[0].type != ZYDIS_OPERAND_TYPE_IMMEDIATE)
                return fail(f, "a call of anything");
            if (target(&d) != f->blocks->stubs.helper)
                return true; // out; what comes is no code
            if (f->helper == (uint64_t)(uintptr_t)rec_pause) { // changes nothing
                f->r15.kind = BASE_NONE;
                f->is_offset = f->is_view = false;
            } else {
                forget(f);
            }
            continue;
        }
        if (d.i.mnemonic == ZYDIS_MNEMONIC_JMP && d.o[0].type == ZYDIS_OPERAND_TYPE_REGISTER)
            return fail(f, "a jump to anywhere");
        if (d.i.mnemonic == ZYDIS_MNEMONIC_JMP && !is_field(&d.o[0], AT(after_store)))
            return true;
        if (d.i.mnemonic == ZYDIS_MNEMONIC_JNBE && f->is_offset && !f->compared && f->checked.high > 0) {
            f->compared = true;
            miss = target(&d);
            continue;
        }
        if (d.i.mnemonic == ZYDIS_MNEMONIC_MOV && is_reg(&d.o[0], R15) && d.o[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE)
            f->helper = d.o[1].imm.value.u;
        if (!follow_results(f, &d))
            return false;
        if (miss && loads_view(&d))
            continue;
        f->unsure = f->unsure || (miss && f->stack_check);
        if (miss && !follow_miss(f, &zydis, miss, at)) // behind the load of R15
            return false;
        miss = 0;
    }
    return fail(f, "no end");
}

/* --- The guest's side --- */

static bool is_shift_by_0(const struct unit *u)
{
    return u->insn.map == MAP_1 && (u->insn.opcode & 0xfe) == 0xc0 && !(u->insn.imm & (u->insn.opsize == 8 && u->insn.opcode == 0xc1 ? 63 : 31));
}

/* Zydis 4.0 on flags, where it is wrong or asks what is known better. */
static bool compare_flags(struct follow *f, const struct unit *u, const struct decoded *d)
{
    const ZydisAccessedFlags *z = d->i.cpu_flags;
    unsigned all = 0x8d5, read, may, undefined;

    if (!z || d->i.mnemonic == ZYDIS_MNEMONIC_VPTEST || d->i.mnemonic == ZYDIS_MNEMONIC_VTESTPS || d->i.mnemonic == ZYDIS_MNEMONIC_VTESTPD)
        return true; // of these it does not know that they clear AF, OF, PF and SF
    read = z->tested & all;
    may = (z->modified | z->set_0 | z->set_1) & all;
    undefined = z->undefined & all;
    read = (read & 0xff) | (read >> 3 & FLAG_O);
    may = (may & 0xff) | (may >> 3 & FLAG_O);
    undefined = (undefined & 0xff) | (undefined >> 3 & FLAG_O);
    if (read & ~(unsigned)u->effects.read)
        return fail(f, "flags that are read");
    if (u->effects.written & ~(may | undefined))
        return fail(f, "flags that are not written");
    if ((may & ~(unsigned)u->effects.touched) && !is_shift_by_0(u))
        return fail(f, "flags that may be written");
    return true;
}

static bool compare_registers(struct follow *f, const struct unit *u, const struct decoded *d)
{
    uint32_t set = share_written(u);

    for (unsigned n = 0; n < d->i.operand_count; n++) {
        const ZydisDecodedOperand *o = &d->o[n];
        unsigned reg = o->type == ZYDIS_OPERAND_TYPE_REGISTER ? gpr(o->reg.value) : NO_REG;

        if (o->type == ZYDIS_OPERAND_TYPE_REGISTER && ZydisRegisterGetClass(o->reg.value) == ZYDIS_REGCLASS_GPR8 &&
            o->reg.value >= ZYDIS_REGISTER_AH && o->reg.value <= ZYDIS_REGISTER_BH)
            reg = (unsigned)(o->reg.value - ZYDIS_REGISTER_AH);
        if (reg < 16 && (o->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) && !(set >> reg & 1))
            return fail(f, "a register that is written");
    }
    return true;
}

static bool follow_guest(struct follow *f, const struct unit *unit, unsigned count, const uint8_t *page, const uint8_t *page2)
{
    bool wide = f->block->mode & REC_MODE_64;
    ZydisDecoder zydis;
    struct decoded d;

    ZydisDecoderInit(&zydis, wide ? ZYDIS_MACHINE_MODE_LONG_64 : ZYDIS_MACHINE_MODE_LEGACY_32,
                     wide ? ZYDIS_STACK_WIDTH_64 : ZYDIS_STACK_WIDTH_32);
    ZydisDecoderEnableMode(&zydis, ZYDIS_DECODER_MODE_KNC, ZYAN_FALSE);
    ZydisDecoderEnableMode(&zydis, ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
    f->copy_count = 0;
    f->x87 = false;
    for (unsigned n = 0; n < count; n++) {
        const struct unit *u = &unit[n];
        uint8_t bytes[16];

        if (u->class != INSN_COPY && u->class != INSN_BIT)
            continue;
        for (unsigned i = 0; i < u->insn.length; i++)
            bytes[i] = u->offset + i < PAGE_BYTES ? page[u->offset + i] : page2[u->offset + i - PAGE_BYTES];
        if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&zydis, bytes, u->insn.length, &d.i, d.o))) {
            if (u->insn.map == MAP_1 && (u->insn.opcode & 0xf8) == 0xd8 && !u->insn.memory) {
                f->x87 = true; // of registers: the table does not judge which there are
                continue;
            }
            return fail(f, "copied, and no instruction");
        }
        f->copies[f->copy_count++] = d.i.mnemonic;
        if (!compare_flags(f, u, &d) || !compare_registers(f, u, &d))
            return false;
    }
    return true;
}

bool follow_block(struct follow *f, const struct blocks *blocks, const struct block *block, const uint8_t *page, const uint8_t *page2)
{
    for (unsigned verbose = 0; verbose < 2; verbose++) {
        f->blocks = blocks;
        f->block = block;
        f->verbose = verbose;
        f->what = NULL;
        f->lines = f->copied = f->accesses = f->ids = 0;
        if (follow_guest(f, blocks->translation->unit, blocks->translation->count, page, page2) && follow_host(f))
            return true;
    }
    return false;
}
