/* SPDX-License-Identifier: MIT */
/*
 * RFLAGS and the interrupt flag, SWAPGS, STAC and CLAC in place, at CPL 0; string instructions and
 * the clock by C functions. What is not as expected is left to the interpreter.
 */
#include "vmm/engines/recompiler/monitor.h"
#include "vmm/engines/recompiler/translate.h"

#define WRGSBASE ((struct op){.map = 1, .byte = 0xae, .pp = 2, .w = true}) // /3
#define MOVZX8   ((struct op){.map = 1, .byte = 0xb6})
#define IMUL     ((struct op){.map = 1, .byte = 0xaf})
#define MOV8     ((struct op){.byte = 0x88, .byte_regs = true})
#define OR32     OP32(0x0b)
#define XOR32    OP32(0x33)
#define SHIFT32  OP32(0xc1) // /4 left, /5 right

/* Of RFLAGS, what POPF may change without the interpreter: the status flags and IF. */
#define POPF_OTHERS (0x247fd7u & ~(uint32_t)(RFLAGS_STATUS | RFLAGS_IF | RFLAGS_1))

static void store_byte(struct emit *e, int32_t at, unsigned value)
{
    emit_op_imm(e, OP32(0xc6), 0, rm_mem(RSP, at), value, 1);
}

static void cli(struct translation *t)
{
    store_byte(t->e, AT(interrupts), 0);
}

/* Leaves the instruction to the interpreter if the flags say "not equal". */
static void cold_interpret(struct translation *t, const struct unit *u)
{
    struct cold *c = &t->cold[t->cold_count++];

    *c = (struct cold){.what = COLD_INTERPRET, .offset = u->offset,
                       .jump = emit_jcc_later(t->e, CC_NE)};
}

/*
 * Where interrupts are switched on while one waits, it has to come in right there, even if the next
 * instruction switches them off again: the interpreter knows the moment. POPF is the same. What
 * comes later, such as an NMI, is held off if translated code is left right behind the STI.
 */
static void sti(struct translation *t, const struct unit *u)
{
    flags_give_up(t, u->live_before);
    emit_op_imm(t->e, OP32(0x83), 7, rm_mem(RSP, AT(state.requests)), 0, 1); // cmp
    cold_interpret(t, u);
    store_byte(t->e, AT(interrupts), 1);
    emit_store_imm(t->e, rm_mem(RSP, AT(after_sti)),
                   ((uint32_t)u->offset + u->insn.length) % PAGE_BYTES + 1);
}

static void pushf(struct translation *t, const struct unit *u)
{
    struct emit *e = t->e;
    struct rm slot;

    flags_to_memory(t);
    flags_give_up(t, u->live_before);
    slot = stack_push_slot(t, u);
    emit_op(e, MOVZX8, R14, rm_mem(RSP, AT(flags)));         // OF
    emit_op_imm(e, SHIFT32, 4, rm_reg(R14), 2, 1);
    emit_op(e, (struct op){.byte = 0x0a}, R14, rm_mem(RSP, AT(interrupts)));
    emit_op_imm(e, SHIFT32, 4, rm_reg(R14), 9, 1);
    emit_op(e, (struct op){.byte = 0x0a}, R14, rm_mem(RSP, AT(flags) + 1));
    emit_op(e, OR32, R14, rm_mem(RSP, AT(state.rflags)));
    operand_note_trap(t, u);
    emit_op(e, (struct op){.byte = 0x89, .w = t->code_size == 8}, R14, slot);
    stack_add(t, -(int32_t)t->code_size);
}

static void popf(struct translation *t, const struct unit *u)
{
    struct emit *e = t->e;
    struct rm slot;

    flags_give_up(t, FLAG_ALL); // the interpreter may need them
    slot = stack_pop_slot(t, u);
    operand_note_trap(t, u);
    emit_op(e, OP32(0x8b), R14, slot);
    emit_op(e, OP32(0x8b), R15, rm_reg(R14));
    emit_op(e, XOR32, R15, rm_mem(RSP, AT(state.rflags)));
    emit_op_imm(e, OP32(0xf7), 0, rm_reg(R15), POPF_OTHERS, 4); // test
    cold_interpret(t, u);
    emit_op(e, OP32(0x8b), R15, rm_reg(R14));
    emit_op_imm(e, SHIFT32, 5, rm_reg(R15), 9, 1);
    emit_op_imm(e, OP32(0x83), 4, rm_reg(R15), 1, 1); // and: IF
    emit_op(e, IMUL, R15, rm_mem(RSP, AT(state.requests)));
    emit_op(e, OP32(0x85), R15, rm_reg(R15)); // test
    cold_interpret(t, u);
    emit_op_imm(e, OP32(0x83), 4, rm_reg(R14), 0xd7, 1); // and: bits 3 and 5 are always clear
    emit_op(e, MOV8, R14, rm_mem(RSP, AT(flags) + 1));
    emit_op_imm(e, SHIFT32, 5, rm_reg(R14), 9, 1);
    emit_op(e, OP32(0x8b), R15, rm_reg(R14));
    emit_op_imm(e, OP32(0x83), 4, rm_reg(R15), 1, 1); // and: IF
    emit_op(e, MOV8, R15, rm_mem(RSP, AT(interrupts)));
    emit_op_imm(e, SHIFT32, 5, rm_reg(R14), 2, 1);
    emit_op_imm(e, OP32(0x83), 4, rm_reg(R14), 1, 1); // OF
    emit_op(e, MOV8, R14, rm_mem(RSP, AT(flags)));
    stack_add(t, (int32_t)t->code_size);
    t->flags = FLAGS_SAVED;
}

static void set_ac(struct translation *t, const struct unit *u, bool value)
{
    struct emit *e = t->e;

    flags_give_up(t, u->live_before);
    emit_op_imm(e, OP32(0x81), value ? 1 : 4, rm_mem(RSP, AT(state.rflags)),
                value ? (uint32_t)RFLAGS_AC : ~(uint32_t)RFLAGS_AC, 4);
    emit_load(e, R14, rm_mem(RSP, value ? AT(kernel_ac) : AT(kernel)));
    emit_op(e, WRGSBASE, 3, rm_reg(R14));
    emit_store(e, rm_mem(RSP, AT(view_base)), R14);
    emit_store(e, rm_mem(RSP, AT(view)), R14);
}

static void swapgs(struct translation *t)
{
    struct emit *e = t->e;

    emit_load(e, R14, rm_mem(RSP, AT(state.gs.base)));
    emit_load(e, R15, rm_mem(RSP, AT(state.kernel_gs_base)));
    emit_store(e, rm_mem(RSP, AT(state.kernel_gs_base)), R14);
    emit_store(e, rm_mem(RSP, AT(state.gs.base)), R15);
}

static void direction(struct translation *t, const struct unit *u)
{
    bool down = u->insn.opcode & 1;

    flags_give_up(t, u->live_before);
    emit_op_imm(t->e, OP32(0x81), down ? 1 : 4, rm_mem(RSP, AT(state.rflags)),
                down ? (uint32_t)RFLAGS_DF : ~(uint32_t)RFLAGS_DF, 4);
}

void system_call(struct translation *t, const struct unit *u, rec_helper *helper, uint32_t argument)
{
    struct emit *e = t->e;

    flags_to_memory(t);
    t->flags = FLAGS_SAVED;
    emit_store_imm(e, rm_mem(RSP, AT(offset)), u->offset);
    emit_store_imm(e, rm_mem(RSP, AT(argument)), argument);
    emit_mov_imm(e, R15, (uint64_t)(uintptr_t)helper);
    emit_call(e, t->blocks->stubs.helper);
}

void system_call_at(struct translation *t, const struct unit *u, rec_helper *helper,
                    uint32_t argument)
{
    flags_to_memory(t);
    flags_give_up(t, FLAG_ALL);
    operand_address(t, operand_ea(t, u));
    emit_store(t->e, rm_mem(RSP, AT(address)), R14);
    system_call(t, u, helper, argument);
}

/* The whole operation in one word for rec_string(). */
static uint32_t string_argument(const struct unit *u)
{
    const struct insn *i = &u->insn;
    unsigned size = i->opcode & 1 ? i->opsize : 1;

    return size | (i->opcode < 0xa8 ? REC_STRING_MOVS : 0) |
           (i->prefixes & (INSN_REP | INSN_REPNE) ? REC_STRING_REP : 0) |
           (i->segment == SEG_FS ? REC_STRING_FS : i->segment == SEG_GS ? REC_STRING_GS : 0);
}

/* As wide as the code: RSP of 32-bit code has no upper half. */
static void store_word(struct translation *t, unsigned to, unsigned from)
{
    emit_op(t->e, (struct op){.byte = 0x89, .w = t->code_size == 8}, from, in_memory(to) ? gpr_slot(to) : rm_reg(host_reg(to)));
}

/* MOV from a segment register to a general one: as wide as it is. */
static void read_segment(struct translation *t, const struct unit *u)
{
    static const int32_t selector[] = {AT(state.es.sel), AT(state.cs.sel), AT(state.ss.sel),
                                       AT(state.ds.sel), AT(state.fs.sel), AT(state.gs.sel)};
    struct emit *e = t->e;
    unsigned to = u->insn.rm;

    emit_op(e, (struct op){.map = 1, .byte = 0xb7}, R14, rm_mem(RSP, selector[u->insn.reg]));
    if (u->insn.opsize == 2)
        emit_op(e, (struct op){.byte = 0x89, .opsize = true}, R14,
                in_memory(to) ? gpr_slot(to) : rm_reg(host_reg(to)));
    else
        store_word(t, to, R14);
}

static void read_cr(struct translation *t, const struct unit *u)
{
    static const int32_t at[] = {AT(state.cr0), 0, AT(state.cr2), AT(state.cr3), AT(state.cr4)};
    unsigned to = u->insn.rm;

    emit_load(t->e, R14, rm_mem(RSP, at[u->insn.reg]));
    store_word(t, to, R14);
}

/* RDFSBASE, RDGSBASE, WRFSBASE, WRGSBASE, by modrm.reg. */
static void base(struct translation *t, const struct unit *u)
{
    struct emit *e = t->e;
    unsigned reg = u->insn.rm;
    bool wide = u->insn.opsize == 8;
    int32_t at = u->insn.modrm >> 3 & 1 ? AT(state.gs.base) : AT(state.fs.base);
    struct rm gpr = in_memory(reg) ? gpr_slot(reg) : rm_reg(host_reg(reg));
    struct cold *c;

    if (!(u->insn.modrm >> 4 & 1)) {
        emit_op(e, wide ? OP64(0x8b) : OP32(0x8b), R14, rm_mem(RSP, at));
        emit_store(e, gpr, R14);
        return;
    }
    flags_give_up(t, FLAG_ALL);
    emit_op(e, wide ? OP64(0x8b) : OP32(0x8b), R14, gpr);
    emit_mov(e, R15, R14); // canonical?
    emit_op_imm(e, OP64(0xc1), 4, rm_reg(R15), 16, 1);
    emit_op_imm(e, OP64(0xc1), 7, rm_reg(R15), 16, 1);
    emit_op(e, OP64(0x3b), R15, rm_reg(R14));
    c = &t->cold[t->cold_count++];
    *c = (struct cold){.what = COLD_INTERPRET, .offset = u->offset,
                       .jump = emit_jcc_later(e, CC_NE)};
    emit_store(e, rm_mem(RSP, at), R14);
}

static void fence(struct translation *t, const struct unit *u)
{
    emit_byte(t->e, 0x0f);
    emit_byte(t->e, 0xae);
    emit_byte(t->e, u->insn.modrm);
}

void system_emit(struct translation *t, const struct unit *u)
{
    switch (u->class) {
    case INSN_CLI:    cli(t); break;
    case INSN_STI:    sti(t, u); break;
    case INSN_PUSHF:  pushf(t, u); break;
    case INSN_POPF:   popf(t, u); break;
    case INSN_STAC:   set_ac(t, u, true); break;
    case INSN_CLAC:   set_ac(t, u, false); break;
    case INSN_SWAPGS: swapgs(t); break;
    case INSN_DF:     direction(t, u); break;
    case INSN_STRING: system_call(t, u, rec_string, string_argument(u)); break;
    case INSN_FENCE:  fence(t, u); break;
    case INSN_READ_SEGMENT: read_segment(t, u); break;
    case INSN_READ_CR: read_cr(t, u); break;
    case INSN_XSAVE:  system_call_at(t, u, rec_xsave, (u->insn.modrm >> 3 & 7) == 6); break;
    case INSN_XRSTOR: system_call_at(t, u, rec_xrstor, 0); break;
    case INSN_BASE:   base(t, u); break;
    case INSN_RDTSC:  system_call(t, u, rec_rdtsc, u->insn.opcode == 0x01); break;
    case INSN_WRITE_MSR: system_call(t, u, rec_write_msr, (uint32_t)u->offset + u->insn.length); break;
    case INSN_MWAIT:  system_call(t, u, rec_mwait, (uint32_t)u->offset + u->insn.length); break;
    default:          break;
    }
}
