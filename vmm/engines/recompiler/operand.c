/* SPDX-License-Identifier: MIT */
/*
 * Memory operands: the one place that knows how translated code reaches guest memory. Two forms:
 * the page the stack pointer was last used in, and the TLB of the view in GS.
 */
#include "vmm/engines/recompiler/translate.h"

#define SHR_IMM   ((struct op){.byte = 0xc1, .w = true}) // /5
#define AND_IMM32 OP32(0x81)                             // /4
#define AND_IMM64 OP64(0x81)
#define AND_IMM8  OP64(0x83)
#define CMP_LOAD  OP64(0x3b)
#define ADD_LOAD  OP64(0x03)
#define SUB_LOAD  OP64(0x2b)

unsigned host_reg(unsigned guest)
{
    return guest == CPU_RSP ? R13 : guest;
}

bool in_memory(unsigned guest)
{
    return guest >= CPU_R13 && guest <= CPU_R15;
}

struct rm gpr_slot(unsigned guest)
{
    return rm_mem(RSP, AT_GPR(guest));
}

struct ea operand_ea(const struct translation *t, const struct unit *u)
{
    const struct insn *i = &u->insn;
    struct ea ea = {.base = i->base, .index = i->index, .scale = i->scale, .disp = i->disp,
                    .narrow = i->addrsize == 4};

    (void)t;
    if (i->base == INSN_RIP)
        ea.disp += u->offset + i->length;
    if (i->segment == SEG_FS)
        ea.segment_base = AT(state.fs.base);
    else if (i->segment == SEG_GS)
        ea.segment_base = AT(state.gs.base);
    return ea;
}

/* Where the base of an address is if not in a register of the host. */
static bool base_slot(struct ea ea, struct rm *slot)
{
    if (ea.base == INSN_RIP)
        *slot = rm_mem(RSP, AT(page));
    else if (ea.base != INSN_NO_REG && in_memory(ea.base))
        *slot = gpr_slot(ea.base);
    else
        return false;
    return true;
}

void operand_address(struct translation *t, struct ea ea)
{
    struct emit *e = t->e;
    struct rm slot;
    bool in_slot = base_slot(ea, &slot);
    unsigned base;

    if (ea.kept) {
        emit_load(e, R14, rm_mem(RSP, AT(address)));
        return;
    }
    base = ea.base == INSN_NO_REG || in_slot ? NO_REG : host_reg(ea.base);

    if (ea.index != INSN_NO_REG && in_memory(ea.index)) {
        emit_load(e, R14, gpr_slot(ea.index));
        emit_lea(e, R14, rm_mem_index(base, R14, ea.scale, ea.disp));
    } else if (ea.index != INSN_NO_REG) {
        emit_lea(e, R14, rm_mem_index(base, host_reg(ea.index), ea.scale, ea.disp));
    } else if (in_slot) {
        emit_load(e, R14, slot);
        if (ea.disp)
            emit_lea(e, R14, rm_mem(R14, ea.disp));
        in_slot = false;
    } else if (base == NO_REG) {
        emit_op_imm(e, OP64(0xc7), 0, rm_reg(R14), (uint32_t)ea.disp, 4); // sign-extended
    } else {
        emit_lea(e, R14, rm_mem(base, ea.disp));
    }
    if (in_slot)
        emit_op(e, ADD_LOAD, R14, slot);
    if (ea.narrow)
        emit_op(e, OP32(0x8b), R14, rm_reg(R14));
    if (ea.segment_base) {
        emit_op(e, ADD_LOAD, R14, rm_mem(RSP, ea.segment_base));
        if (t->code_size == 4)
            emit_op(e, OP32(0x8b), R14, rm_reg(R14));
    }
}

/* Base register and displacement alone: the access can use them again. */
static bool is_simple(const struct translation *t, struct ea ea)
{
    return t->code_size == 8 && !ea.kept && !ea.narrow && !ea.segment_base && ea.index == INSN_NO_REG &&
           ea.base != INSN_NO_REG && ea.base != INSN_RIP && !in_memory(ea.base);
}

static void miss(struct translation *t, const struct unit *u, struct ea ea, unsigned condition,
                 uint32_t kind, struct cold **cold)
{
    *cold = &t->cold[t->cold_count++];
    **cold = (struct cold){.what = COLD_FILL, .ea = ea, .kind = kind, .offset = u->offset,
                           .jump = emit_jcc_later(t->e, condition)};
}

static void check_stack(struct translation *t, const struct unit *u, struct ea ea, unsigned size,
                        uint32_t kind)
{
    struct emit *e = t->e;
    unsigned user = t->mode & REC_MODE_USER ? 1 : 0;
    struct cold *cold;

    operand_address(t, ea);
    emit_op(e, SUB_LOAD, R14, rm_mem(RSP, user ? AT(stack_page[1].low) : AT(stack_page[0].low)));
    emit_op_imm(e, OP64(0x81), 7, rm_reg(R14), PAGE_BYTES - size, 4);
    miss(t, u, ea, CC_A, kind | REC_ACCESS_STACK, &cold);
    emit_load(e, R15, rm_mem(RSP, user ? AT(stack_page[1].addend) : AT(stack_page[0].addend)));
    cold->back = emit_here(e);
}

static void check_tlb(struct translation *t, const struct unit *u, struct ea ea, unsigned size,
                      uint32_t kind)
{
    struct emit *e = t->e;
    struct cold *cold;
    int32_t tag = kind & REC_ACCESS_WRITE ? (int32_t)offsetof(struct view_entry, write)
                                          : (int32_t)offsetof(struct view_entry, read);

    operand_address(t, ea);
    emit_mov(e, R15, R14);
    emit_op_imm(e, SHR_IMM, 5, rm_reg(R15), 7, 1);
    emit_op_imm(e, AND_IMM32, 4, rm_reg(R15), (VIEW_ENTRIES - 1) << 5, 4);
    if (size > 1 && !(kind & REC_ACCESS_ALIGNED))
        emit_lea(e, R14, rm_mem(R14, (int32_t)size - 1));
    emit_op_imm(e, AND_IMM64, 4, rm_reg(R14),
                kind & REC_ACCESS_ALIGNED ? 0xfffff000u | (size - 1) : 0xfffff000u, 4);
    emit_op(e, CMP_LOAD, R14, rm_gs(rm_mem(R15, tag)));
    miss(t, u, ea, CC_NE, kind, &cold);
    emit_load(e, R15, rm_gs(rm_mem(R15, (int32_t)offsetof(struct view_entry, addend))));
    cold->back = emit_here(e);
}

/* The operand itself, its page's addend in R15. */
static struct rm operand_of(struct translation *t, struct ea ea)
{
    struct rm slot;

    if (!base_slot(ea, &slot))
        return rm_mem_index(R15, host_reg(ea.base), 0, ea.disp);
    emit_load(t->e, R14, slot);
    return rm_mem_index(R15, R14, 0, ea.disp);
}

/* The first access of a group checks what all of them may touch. */
static struct rm shared(struct translation *t, const struct unit *u, struct ea ea, unsigned size,
                        uint32_t kind)
{
    struct group *g = u->group;
    bool stack = ea.base == CPU_RSP;
    int32_t kept = AT(addend) + 8 * (int32_t)(g - t->group);
    struct ea first = ea;

    (void)size;
    if (stack)
        kept = t->mode & REC_MODE_USER ? AT(stack_page[1].addend) : AT(stack_page[0].addend);
    if (g->checked) {
        emit_load(t->e, R15, rm_mem(RSP, kept));
        return operand_of(t, ea);
    }
    g->checked = true;
    first.disp = g->low - (stack ? u->delta : 0);
    size = (unsigned)(g->high - g->low);
    kind |= REC_ACCESS_SHARED | size << 8;
    if (stack) {
        check_stack(t, u, first, size, kind);
    } else {
        check_tlb(t, u, first, size, kind);
        emit_store(t->e, rm_mem(RSP, kept), R15);
    }
    return operand_of(t, ea);
}

/* Is an access checked already? It does not destroy the flags then. */
bool operand_is_checked(const struct unit *u)
{
    return u->group && u->group->members > 1 && u->group->checked;
}

struct rm operand_check(struct translation *t, const struct unit *u, struct ea ea, unsigned size,
                        uint32_t kind)
{
    if (u->group && u->group->members > 1)
        return shared(t, u, ea, size, kind);
    kind |= size << 8;
    if (ea.base == CPU_RSP && !ea.kept && ea.index == INSN_NO_REG && !ea.segment_base && !ea.narrow &&
        !(kind & REC_ACCESS_ALIGNED))
        check_stack(t, u, ea, size, kind);
    else
        check_tlb(t, u, ea, size, kind);
    if (is_simple(t, ea))
        return rm_mem_index(R15, host_reg(ea.base), 0, ea.disp);
    operand_address(t, ea);
    return rm_mem_index(R15, R14, 0, 0);
}

struct rm operand_free_r14(struct translation *t, struct rm rm)
{
    if (!rm.memory || rm.index != R14)
        return rm;
    emit_lea(t->e, R15, rm);
    return rm_mem(R15, 0);
}
