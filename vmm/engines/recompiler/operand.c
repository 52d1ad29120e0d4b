/* SPDX-License-Identifier: MIT */
/*
 * Memory operands: the one place that knows how translated code reaches guest memory. Two forms:
 * the page the stack pointer was last used in, and the TLB of the view in GS.
 */
#include "vmm/engines/recompiler/translate.h"

#define SHR_IMM   ((struct op){.byte = 0xc1, .w = true}) // /5
#define AND_IMM32 OP32(0x81)                             // /4
#define CMP_IMM32 OP64(0x81)                             // /7
#define PEXT      ((struct op){.map = 2, .byte = 0xf5, .pp = 2, .vex = true, .w = true})
#define RORX      ((struct op){.map = 3, .byte = 0xf0, .pp = 3, .vex = true, .w = true})
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
    } else if (ea.disp == 0) {
        emit_mov(e, R14, base); // takes a processor no time, unlike LEA
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

/*
 * What is found by the stack's page. Not an address of 32 bits that wraps: the operand is addressed
 * by the whole of the register, so the check has to be of the same sum.
 */
bool operand_is_stack(struct ea ea)
{
    return ea.base == CPU_RSP && !ea.kept && ea.index == INSN_NO_REG && !ea.segment_base && !ea.narrow;
}

static void check_stack(struct translation *t, const struct unit *u, struct ea ea, unsigned size,
                        uint32_t kind)
{
    struct emit *e = t->e;
    unsigned user = t->mode & REC_MODE_USER ? 1 : 0;
    struct cold *cold;

    operand_address(t, ea);
    emit_op(e, SUB_LOAD, R14, rm_mem(RSP, user ? AT(stack_page[1].low) : AT(stack_page[0].low)));
    emit_op_imm(e, CMP_IMM32, 7, rm_reg(R14), PAGE_BYTES - size, 4);
    miss(t, u, ea, CC_A, kind | REC_ACCESS_STACK, &cold);
    emit_load(e, R15, rm_mem(RSP, user ? AT(stack_page[1].addend) : AT(stack_page[0].addend)));
    cold->back = emit_here(e);
    t->unsure = true;
}

/*
 * R15 finds the TLB's entry for the address in R14: by PEXT as its number, else by eight times that.
 * PEXT is one instruction less, and takes longer: the address of general registers' operands is
 * often what another access has just loaded, that of vectors is known early.
 */
static bool uses_pext(const struct translation *t, const struct unit *u)
{
    return t->blocks->bmi2 && u->effects.kind != COPY_NO && u->effects.kind != COPY_PLAIN;
}

static void tlb_index(struct translation *t, bool by_pext)
{
    struct emit *e = t->e;
    struct op pext = PEXT;

    if (by_pext) {
        pext.vvvv = R14;
        emit_op(e, pext, R15, rm_mem(RSP, AT(tlb_mask)));
        return;
    }
    if (t->blocks->bmi2) {
        emit_op_imm(e, RORX, R15, rm_reg(R14), 9, 1);
    } else {
        emit_mov(e, R15, R14);
        emit_op_imm(e, SHR_IMM, 5, rm_reg(R15), 9, 1);
    }
    emit_op_imm(e, AND_IMM32, 4, rm_reg(R15), (VIEW_ENTRIES - 1) << 3, 4);
}

static struct rm column(bool by_pext, size_t offset)
{
    return rm_gs(by_pext ? rm_mem_index(NO_REG, R15, 3, (int32_t)offset) : rm_mem(R15, (int32_t)offset));
}

/*
 * Host - linear address to R15. If the address has just been loaded, what uses it waits for this:
 * GS takes a processor a cycle or two longer than a base from memory, which is there early, takes
 * an instruction.
 */
static void load_addend(struct translation *t, const struct unit *u, bool by_pext)
{
    const int32_t at = (int32_t)offsetof(struct view, addend);

    if (!u->chases || !(t->mode & REC_MODE_USER)) {
        emit_load(t->e, R15, column(by_pext, offsetof(struct view, addend)));
        return;
    }
    emit_load(t->e, R14, rm_mem(RSP, AT(view_base)));
    emit_load(t->e, R15, rm_mem_index(R14, R15, by_pext ? 3 : 0, at));
}

/*
 * R14 is how far into the page the access goes, and must leave room for it. `by_addend`: R15 is
 * then host - linear address; otherwise R15 + R14 is the host address, after a miss as well, when
 * they are that and the linear address.
 */
static void check_tlb(struct translation *t, const struct unit *u, struct ea ea, unsigned size,
                      uint32_t kind, bool by_addend)
{
    struct emit *e = t->e;
    struct cold *cold;
    bool by_pext = uses_pext(t, u);
    size_t tags = kind & (REC_ACCESS_WRITE | REC_ACCESS_WRITTEN) ? offsetof(struct view, write)
                                                                 : offsetof(struct view, read);

    operand_address(t, ea);
    tlb_index(t, by_pext);
    emit_op(e, SUB_LOAD, R14, column(by_pext, tags));
    emit_op_imm(e, CMP_IMM32, 7, rm_reg(R14), PAGE_BYTES - size, 4);
    miss(t, u, ea, CC_A, kind, &cold);
    if (by_addend)
        load_addend(t, u, by_pext);
    else
        emit_load(e, R15, column(by_pext, offsetof(struct view, host)));
    cold->back = emit_here(e);
}

/* A page's alignment is that of the host's. */
void operand_note_trap(struct translation *t, const struct unit *u)
{
    if (t->unsure || (u->class == INSN_COPY && (u->effects.traps || u->effects.aligned)))
        t->trap[t->trap_count++] = (struct block_trap){
            (uint16_t)(blocks_offset(t->blocks, t->e->out) - t->block->code),
            (uint16_t)(u->offset | (t->flags & FLAGS_SAVED ? 0 : BLOCK_TRAP_FLAGS))};
    t->unsure = false;
}

static uint32_t alignment(const struct unit *u, int32_t behind)
{
    if (u->class != INSN_COPY || !u->effects.aligned)
        return 0;
    return REC_ACCESS_ALIGNED(__builtin_ctz(u->effects.size), behind);
}

/* The first access of a group checks what all of them may touch. */
static struct rm shared(struct translation *t, const struct unit *u, struct ea ea, uint32_t kind)
{
    struct group *g = u->group;
    bool stack = operand_is_stack(ea);
    int32_t kept = AT(addend) + 8 * (int32_t)(g - t->group), low = g->low - (stack ? u->delta : 0);
    struct ea first = ea;

    if (stack)
        kept = t->mode & REC_MODE_USER ? AT(stack_page[1].addend) : AT(stack_page[0].addend);
    if (!g->checked) {
        unsigned size = (unsigned)(g->high - g->low);

        g->checked = true;
        first.disp = low;
        kind |= REC_ACCESS_SHARED | size << 8 | alignment(u, ea.disp - low);
        if (g->writes && !stack && !(kind & REC_ACCESS_WRITE))
            kind |= REC_ACCESS_WRITTEN;
        if (stack) {
            check_stack(t, u, first, size, kind);
        } else {
            check_tlb(t, u, first, size, kind, is_simple(t, ea));
            emit_lea(t->e, R15, is_simple(t, ea) ? rm_mem_index(R15, host_reg(ea.base), 0, 0)
                                                 : rm_mem_index(R15, R14, 0, -low));
            emit_store(t->e, rm_mem(RSP, kept), R15);
        }
    } else if (t->held != g || t->e->r15_used) {
        emit_load(t->e, R15, rm_mem(RSP, kept));
    }
    t->held = g;
    t->e->r15_used = false;
    return stack ? rm_mem_index(R15, R13, 0, ea.disp) : rm_mem(R15, ea.disp);
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
        return shared(t, u, ea, kind);
    kind |= size << 8 | alignment(u, 0) | (t->mode & REC_MODE_PLAIN && !(kind & REC_ACCESS_COMMIT) ? REC_ACCESS_FINAL : 0);
    if (operand_is_stack(ea)) {
        check_stack(t, u, ea, size, kind);
        return rm_mem_index(R15, host_reg(ea.base), 0, ea.disp);
    }
    check_tlb(t, u, ea, size, kind, is_simple(t, ea));
    return is_simple(t, ea) ? rm_mem_index(R15, host_reg(ea.base), 0, ea.disp)
                            : rm_mem_index(R15, R14, 0, 0);
}

struct rm operand_free_r14(struct translation *t, struct rm rm)
{
    if (!rm.memory || rm.index != R14)
        return rm;
    emit_lea(t->e, R15, rm);
    return rm_mem(R15, 0);
}

void operand_load_word(struct translation *t, const struct unit *u)
{
    const struct insn *i = &u->insn;
    struct rm rm;

    if (i->memory) {
        rm = operand_check(t, u, operand_ea(t, u), word_size(t), 0);
        operand_note_trap(t, u);
        emit_op(t->e, word_op(t, 0x8b), R14, rm);
        return;
    }
    emit_op(t->e, word_op(t, 0x8b), R14, in_memory(i->rm) ? gpr_slot(i->rm) : rm_reg(host_reg(i->rm)));
}
