/* SPDX-License-Identifier: MIT */
/* The interpreter's operands, as the opcode table names them. */
#include "vmm/cpu/exec.h"

#include "vmm/cpu/atomic.h"

uint64_t exec_get_reg(const struct interp *c, unsigned reg, unsigned size)
{
    const uint64_t *gpr = c->state->gpr;

    if (size == 1 && reg >= 4 && reg < 8 && !(c->insn.prefixes & INSN_REX))
        return gpr[reg - 4] >> 8 & 0xff;
    return gpr[reg] & alu_mask(size);
}

void exec_set_reg(struct interp *c, unsigned reg, unsigned size, uint64_t value)
{
    uint64_t *gpr = c->state->gpr;

    switch (size) {
    case 1:
        if (reg >= 4 && reg < 8 && !(c->insn.prefixes & INSN_REX))
            gpr[reg - 4] = (gpr[reg - 4] & ~0xff00ull) | (value & 0xff) << 8;
        else
            gpr[reg] = (gpr[reg] & ~0xffull) | (value & 0xff);
        break;
    case 2:
        gpr[reg] = (gpr[reg] & ~0xffffull) | (value & 0xffff);
        break;
    case 4:
        gpr[reg] = (uint32_t)value;
        break;
    default:
        gpr[reg] = value;
        break;
    }
}

uint64_t exec_address(const struct interp *c)
{
    const struct insn *i = &c->insn;
    uint64_t address = (uint64_t)(int64_t)i->disp;

    if (i->base == INSN_RIP)
        address += c->state->rip + i->length;
    else if (i->base != INSN_NO_REG)
        address += c->state->gpr[i->base];
    if (i->index != INSN_NO_REG)
        address += c->state->gpr[i->index] << i->scale;
    return address & alu_mask(i->addrsize);
}

unsigned exec_operand_size(const struct interp *c, unsigned n)
{
    unsigned size = operand_kinds[opcode_rows[c->insn.op].operand[n]].size;

    switch (size) {
    case SIZE_V: return c->insn.opsize;
    case SIZE_Z: return c->insn.opsize == 8 ? 4 : c->insn.opsize;
    case SIZE_Y: return c->insn.rex & 8 && c->mode == 8 ? 8 : 4;
    case SIZE_A: return c->mode == 8 ? 8 : 4;
    default:     return size;
    }
}

static enum operand_class class_of(const struct interp *c, unsigned n)
{
    return operand_kinds[opcode_rows[c->insn.op].operand[n]].class;
}

/* Where a register operand is, or INSN_NO_REG. */
static unsigned register_of(const struct interp *c, enum operand_class class)
{
    const struct insn *i = &c->insn;

    switch (class) {
    case OC_RM:     return i->memory ? INSN_NO_REG : i->rm;
    case OC_REG:    return i->reg;
    case OC_OPREG:  return i->rm;
    case OC_VVVV:   return i->vvvv;
    case OC_FIXED0: return CPU_RAX;
    case OC_FIXED1: return CPU_RCX;
    case OC_FIXED2: return CPU_RDX;
    default:        return INSN_NO_REG;
    }
}

static enum interp_status memory_operand(struct interp *c, enum operand_class class, unsigned size,
                                         uint32_t flags, struct access *a)
{
    uint64_t offset = class == OC_MOFFS ? c->insn.imm : exec_address(c);

    return exec_access(c, c->insn.segment, offset, size, flags, a);
}

enum interp_status exec_get(struct interp *c, unsigned n, uint64_t *value)
{
    enum operand_class class = class_of(c, n);
    unsigned size = exec_operand_size(c, n), reg = register_of(c, class);
    struct access a;

    if (reg != INSN_NO_REG) {
        *value = exec_get_reg(c, reg, size);
        return INTERP_DONE;
    }
    if (class == OC_IMM || class == OC_ONE || class == OC_REL) {
        *value = class == OC_ONE ? 1 : c->insn.imm;
        return INTERP_DONE;
    }
    TRY(memory_operand(c, class, size, 0, &a));
    *value = exec_load(c, &a);
    return INTERP_DONE;
}

enum interp_status exec_set(struct interp *c, unsigned n, uint64_t value)
{
    enum operand_class class = class_of(c, n);
    unsigned size = exec_operand_size(c, n), reg = register_of(c, class);
    struct access a;

    if (reg != INSN_NO_REG) {
        exec_set_reg(c, reg, size, value);
        return INTERP_DONE;
    }
    TRY(memory_operand(c, class, size, ACCESS_WRITE, &a));
    exec_store(c, &a, value);
    return INTERP_DONE;
}

/*
 * A locked operation that RAM of two pages holds apart is not atomic here: the pieces are written
 * one by one (a real processor would lock the bus).
 */
enum interp_status exec_modify_access(struct interp *c, const struct access *a, uint64_t b,
                                      alu_fn *fn, bool locked, uint64_t *old)
{
    uint8_t *p = exec_pointer(a);
    uint64_t before, after, flags;

    if (!locked || !p) {
        before = exec_load(c, a);
        flags = c->state->rflags;
        exec_store(c, a, fn(before, b, a->size, &flags));
    } else {
        before = atomic_load_guest(p, a->size);
        do {
            flags = c->state->rflags;
            after = fn(before, b, a->size, &flags);
        } while (!atomic_cas_guest(p, a->size, &before, after));
    }
    c->state->rflags = flags;
    if (old)
        *old = before;
    return INTERP_DONE;
}

enum interp_status exec_modify(struct interp *c, uint64_t b, alu_fn *fn, bool locked, uint64_t *old)
{
    enum operand_class class = class_of(c, 0);
    unsigned size = exec_operand_size(c, 0), reg = register_of(c, class);
    struct access a;
    uint64_t before;

    if (reg != INSN_NO_REG) {
        before = exec_get_reg(c, reg, size);
        exec_set_reg(c, reg, size, fn(before, b, size, &c->state->rflags));
        if (old)
            *old = before;
        return INTERP_DONE;
    }
    TRY(memory_operand(c, class, size, ACCESS_WRITE, &a));
    return exec_modify_access(c, &a, b, fn, locked || (c->insn.prefixes & INSN_LOCK), old);
}
