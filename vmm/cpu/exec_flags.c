/* SPDX-License-Identifier: MIT */
/* Handlers: flags and decimal adjustment (SDM volume 2). */
#include "vmm/cpu/exec.h"

static enum interp_status set_flag(struct interp *c, uint64_t flag, bool value)
{
    c->state->rflags = value ? c->state->rflags | flag : c->state->rflags & ~flag;
    return INTERP_DONE;
}

enum interp_status exec_clc(struct interp *c) { return set_flag(c, RFLAGS_CF, false); }
enum interp_status exec_stc(struct interp *c) { return set_flag(c, RFLAGS_CF, true); }
enum interp_status exec_cmc(struct interp *c)
{
    return set_flag(c, RFLAGS_CF, !(c->state->rflags & RFLAGS_CF));
}
enum interp_status exec_cld(struct interp *c) { return set_flag(c, RFLAGS_DF, false); }
enum interp_status exec_std(struct interp *c) { return set_flag(c, RFLAGS_DF, true); }

static unsigned iopl(const struct interp *c)
{
    return (unsigned)(c->state->rflags & RFLAGS_IOPL) >> 12;
}

/* CLI and STI above IOPL act on VIF with VME or PVI (SDM volume 2, CLI, STI). */
static enum interp_status set_interrupt_flag(struct interp *c, bool value)
{
    uint64_t cr4 = c->state->cr4, rflags = c->state->rflags;
    bool virtual = exec_virtual8086(c) ? cr4 & CR4_VME : (cr4 & CR4_PVI) && c->cpl == 3;

    if (c->cpl <= iopl(c)) {
        c->shadow = value && !(rflags & RFLAGS_IF);
        return set_flag(c, RFLAGS_IF, value);
    }
    if (!virtual || (value && (rflags & RFLAGS_VIP)))
        return exec_gp0(c);
    return set_flag(c, RFLAGS_VIF, value);
}

enum interp_status exec_cli(struct interp *c) { return set_interrupt_flag(c, false); }
enum interp_status exec_sti(struct interp *c) { return set_interrupt_flag(c, true); }

enum interp_status exec_pushf(struct interp *c)
{
    uint64_t image = c->state->rflags & ~(RFLAGS_RF | RFLAGS_VM);

    if (exec_virtual8086(c) && iopl(c) < 3) {
        if (!(c->state->cr4 & CR4_VME) || c->insn.opsize != 2)
            return exec_gp0(c);
        image = (image & ~RFLAGS_IF) | RFLAGS_IOPL | (image & RFLAGS_VIF ? RFLAGS_IF : 0);
    }
    return exec_stack_push(c, c->insn.opsize, image);
}

/* SDM volume 2, table of POPF; with VME and a low IOPL the 16-bit form moves IF to VIF. */
enum interp_status exec_popf(struct interp *c)
{
    uint64_t image, rflags = c->state->rflags;
    uint64_t change = RFLAGS_STATUS | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT | RFLAGS_AC | RFLAGS_ID;
    bool virtual = exec_virtual8086(c) && iopl(c) < 3;

    if (virtual && (!(c->state->cr4 & CR4_VME) || c->insn.opsize != 2))
        return exec_gp0(c);
    TRY(exec_stack_pop(c, c->insn.opsize, &image));
    if (virtual) {
        if ((image & RFLAGS_TF) || ((image & RFLAGS_IF) && (rflags & RFLAGS_VIP)))
            return exec_gp0(c);
        image = (image & ~RFLAGS_VIF) | (image & RFLAGS_IF ? RFLAGS_VIF : 0);
        change |= RFLAGS_VIF;
    } else if (c->cpl <= iopl(c)) {
        change |= RFLAGS_IF;
    }
    if (c->cpl == 0)
        change |= RFLAGS_IOPL;
    if (c->insn.opsize == 2)
        change &= 0xffff | (virtual ? RFLAGS_VIF : 0);
    c->state->rflags = (rflags & ~change) | (image & change);
    return INTERP_DONE;
}

enum interp_status exec_lahf(struct interp *c)
{
    uint64_t *rax = &c->state->gpr[CPU_RAX];

    *rax = (*rax & ~0xff00ull) | ((c->state->rflags & 0xd5) | RFLAGS_1) << 8;
    return INTERP_DONE;
}

enum interp_status exec_sahf(struct interp *c)
{
    c->state->rflags = (c->state->rflags & ~0xd5ull) | (c->state->gpr[CPU_RAX] >> 8 & 0xd5);
    return INTERP_DONE;
}

enum interp_status exec_salc(struct interp *c)
{
    exec_set_reg(c, CPU_RAX, 1, c->state->rflags & RFLAGS_CF ? 0xff : 0);
    return INTERP_DONE;
}

static void set_adjusted(struct interp *c, uint64_t al, bool carry, bool adjust)
{
    uint64_t flags = alu_flags_of(al, 1) | (carry ? RFLAGS_CF : 0) | (adjust ? RFLAGS_AF : 0);

    exec_set_reg(c, CPU_RAX, 1, al);
    c->state->rflags = (c->state->rflags & ~RFLAGS_STATUS) | flags;
}

/* DAA and DAS: sign is 1 or -1. */
static enum interp_status decimal_adjust(struct interp *c, unsigned sign)
{
    uint64_t old = exec_get_reg(c, CPU_RAX, 1), al = old;
    bool carry = c->state->rflags & RFLAGS_CF,
         adjust = (al & 15) > 9 || (c->state->rflags & RFLAGS_AF);
    bool high = old > 0x99 || carry;

    if (adjust) {
        carry = carry || (sign == 1 ? al + 6 > 0xff : al < 6);
        al = al + 6 * sign;
    }
    if (high)
        al = al + 0x60 * sign;
    set_adjusted(c, al & 0xff, high || (sign != 1 && carry), adjust);
    return INTERP_DONE;
}

enum interp_status exec_daa(struct interp *c) { return decimal_adjust(c, 1); }
enum interp_status exec_das(struct interp *c) { return decimal_adjust(c, -1u); }

static enum interp_status ascii_adjust(struct interp *c, uint64_t change)
{
    uint64_t ax = exec_get_reg(c, CPU_RAX, 2);
    bool adjust = (ax & 15) > 9 || (c->state->rflags & RFLAGS_AF);

    if (adjust)
        ax += change;
    set_adjusted(c, ax & 15, adjust, adjust);
    exec_set_reg(c, CPU_RAX, 2, ax & 0xff0f);
    return INTERP_DONE;
}

enum interp_status exec_aaa(struct interp *c) { return ascii_adjust(c, 0x106); }
enum interp_status exec_aas(struct interp *c) { return ascii_adjust(c, -(uint64_t)0x106); }

enum interp_status exec_aam(struct interp *c)
{
    uint64_t al = exec_get_reg(c, CPU_RAX, 1), base = c->insn.imm & 0xff;

    if (base == 0)
        return exec_fault(c, EXCEPTION_DE);
    set_adjusted(c, al % base, false, false);
    exec_set_reg(c, CPU_RAX, 2, al / base << 8 | al % base);
    return INTERP_DONE;
}

enum interp_status exec_aad(struct interp *c)
{
    uint64_t ax = exec_get_reg(c, CPU_RAX, 2), al = (ax + (ax >> 8) * (c->insn.imm & 0xff)) & 0xff;

    set_adjusted(c, al, false, false);
    exec_set_reg(c, CPU_RAX, 2, al);
    return INTERP_DONE;
}

enum interp_status exec_xlat(struct interp *c)
{
    uint64_t address = c->state->gpr[CPU_RBX] + exec_get_reg(c, CPU_RAX, 1), value;

    TRY(exec_read(c, c->insn.segment, address & alu_mask(c->insn.addrsize), 1, &value));
    exec_set_reg(c, CPU_RAX, 1, value);
    return INTERP_DONE;
}
