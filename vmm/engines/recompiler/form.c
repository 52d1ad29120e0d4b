/* SPDX-License-Identifier: MIT */
/* What an instruction to be copied is made of. */
#include "vmm/engines/recompiler/form.h"

int form_operand(const struct unit *u, unsigned class)
{
    for (unsigned n = 0; n < 4; n++)
        if (unit_operand_class(u, n) == class)
            return (int)n;
    return -1;
}

static unsigned size_of(const struct unit *u, int n)
{
    unsigned size = operand_kinds[opcode_rows[u->insn.op].operand[n]].size;

    switch (size) {
    case SIZE_V: return u->insn.opsize;
    case SIZE_Z: return u->insn.opsize == 8 ? 4 : u->insn.opsize;
    case SIZE_Y: return u->insn.rex & 8 ? 8 : 4;
    default:     return size;
    }
}

bool form_is_high(const struct unit *u, int n, unsigned reg)
{
    return n >= 0 && size_of(u, n) == 1 && reg >= 4 && reg < 8 && !(u->insn.prefixes & INSN_REX) &&
           u->insn.map < MAP_3A; // PINSRB and PEXTRB have whole registers
}

static unsigned imm_size(const struct unit *u)
{
    switch (opcode_rows[u->insn.op].imm) {
    case IMM_U8: case IMM_S8: return 1;
    case IMM_U16:             return 2;
    case IMM_U32:             return 4;
    case IMM_SZ:              return u->insn.opsize == 2 ? 2 : 4;
    case IMM_V:               return u->insn.opsize;
    default:                  return 0;
    }
}

/* Of general instructions: F2 and F3 are no hints (of transactions) but choose the operation. */
static bool prefix_matters(const struct insn *i)
{
    return i->map != MAP_0F || i->opcode == 0xb8 || i->opcode == 0xbc || i->opcode == 0xbd;
}

static void prefixes(const struct unit *u, struct form *f)
{
    const struct insn *i = &u->insn;
    uint32_t select = opcode_rows[i->op].select;

    f->op.w = i->rex & 8;
    f->op.byte = i->opcode;
    f->op.map = (uint8_t)(i->map >= MAP_V1 ? i->map - MAP_V1 + 1 : i->map);
    if (i->map >= MAP_V1) {
        f->op.vex = true;
        f->op.vvvv = i->vvvv;
        f->op.l = i->vl & 1;
        f->op.pp = select >> 7 & 3;
        return;
    }
    f->op.opsize = i->prefixes & INSN_OPSIZE;
    f->op.lock = i->prefixes & INSN_LOCK;
    f->op.byte_regs = i->prefixes & INSN_REX;
    if (i->map != MAP_1 && !(u->effects.kind == COPY_PLAIN && !prefix_matters(i)))
        f->op.pp = i->prefixes & INSN_REP ? 2 : i->prefixes & INSN_REPNE ? 3 : 0;
}

/* The one-byte opcodes without ModRM that get one, or another. */
static bool shorthand(const struct unit *u, struct form *f)
{
    unsigned op = u->insn.opcode, rm = u->insn.rm;

    if (u->insn.map == MAP_0F && op >= 0xc8 && op <= 0xcf) { // bswap
        f->rm = rm;
        f->rm_is_gpr = true;
        return true;
    }
    if (u->insn.map != MAP_1)
        return false;
    if (op >= 0x40 && op <= 0x4f) { // inc, dec
        f->op.byte = 0xff;
        f->reg = op >> 3 & 1;
        f->rm = rm;
        f->rm_is_gpr = true;
        return true;
    }
    if (op >= 0x90 && op <= 0x97) { // xchg
        f->op.byte = 0x87;
        f->reg = CPU_RAX;
        f->reg_n = 1;
        f->rm = rm;
        f->rm_is_gpr = true;
        return true;
    }
    if (op >= 0xa0 && op <= 0xa3) { // moffs
        f->op.byte = (uint8_t)(op == 0xa0 ? 0x8a : op == 0xa1 ? 0x8b : op == 0xa2 ? 0x88 : 0x89);
        f->reg = CPU_RAX;
        return true;
    }
    if (op >= 0xb0 && op <= 0xbf) { // mov reg, imm
        f->rm = rm;
        f->rm_is_gpr = true;
        return true;
    }
    return false;
}

struct form form_of(const struct unit *u)
{
    const struct insn *i = &u->insn;
    struct form f = {.reg_n = -1, .rm_n = -1, .vvvv_n = -1, .imm_size = imm_size(u)};

    prefixes(u, &f);
    if (shorthand(u, &f))
        return f;
    f.reg = i->reg & 15;
    f.rm = i->rm & 15;
    f.vvvv = i->vvvv;
    f.reg_n = form_operand(u, OC_REG);
    f.rm_n = form_operand(u, OC_RM);
    f.vvvv_n = form_operand(u, OC_VVVV);
    f.rm_is_gpr = f.rm_n >= 0 && !i->memory;
    if (f.reg_n < 0 && form_operand(u, OC_VREG) < 0 && form_operand(u, OC_MREG) < 0)
        f.reg &= 7; // part of the opcode
    return f;
}

bool form_is_op(const struct unit *u, unsigned map, unsigned byte)
{
    return u->insn.map == map && u->insn.opcode == byte;
}

bool form_wants_register(const struct unit *u, const struct form *f)
{
    unsigned op = f->op.byte;

    if (u->effects.writes && size_of(u, f->rm_n) < 8)
        return true;

    if (f->op.vex)
        return false;
    if (f->op.map == 0)
        return op == 0x86 || op == 0x87;
    return f->op.map == 1 && (op == 0xb0 || op == 0xb1 || op == 0xa3 || op == 0xab || op == 0xb3 || op == 0xbb || op == 0xc0 ||
                              op == 0xc1 || (op >= 0xc8 && op <= 0xcf)) && u->insn.map == MAP_0F;
}

bool form_exchanges(const struct unit *u)
{
    unsigned op = u->insn.opcode;

    return (u->insn.map == MAP_1 && (op == 0x86 || op == 0x87)) ||
           (u->insn.map == MAP_0F && (op == 0xc0 || op == 0xc1));
}

bool form_only_writes(const struct unit *u)
{
    unsigned op = u->insn.opcode;

    if (u->insn.map >= MAP_V1)
        return true;
    if (u->insn.opsize < 4)
        return false;
    if (u->insn.map == MAP_0F)
        return op == 0xb6 || op == 0xb7 || op == 0xbe || op == 0xbf;
    return u->insn.map == MAP_1 && (op == 0x89 || op == 0x8b || op == 0xc7 || op == 0x63 ||
                                    op == 0x69 || op == 0x6b);
}

bool copy_can(const struct unit *u)
{
    struct form f = form_of(u);
    const struct insn *i = &u->insn;
    bool reg_slot = f.reg_n >= 0 && in_memory(f.reg), rm_slot = f.rm_is_gpr && in_memory(f.rm),
         vvvv_slot = f.vvvv_n >= 0 && in_memory(f.vvvv);
    bool high = form_is_high(u, f.reg_n, f.reg) || (f.rm_is_gpr && form_is_high(u, f.rm_n, f.rm));

    if (i->addrsize == 2 && (i->memory || u->effects.size))
        return false;
    if (f.op.vex && !(opcode_rows[i->op].select >> 16 & 0x180))
        return false;
    /* Two scratch registers: MULX writes one for each, and an operand in memory needs one. */
    if (vvvv_slot && reg_slot && (i->memory || f.reg == f.vvvv))
        return false;
    if (high && ((f.reg_n >= 0 && f.reg == CPU_RSP && !form_is_high(u, f.reg_n, f.reg)) ||
                 (f.rm_is_gpr && f.rm == CPU_RSP && !form_is_high(u, f.rm_n, f.rm))))
        return false;
    if (high && form_is_op(u, MAP_0F, 0xb0))
        return false; // CMPXCHG needs AL, which would be in the high byte's place
    /* PEXTRB, PEXTRW to a register clear the rest of it. */
    if (rm_slot && (f.op.map == 3) && (f.op.byte == 0x14 || f.op.byte == 0x15))
        return false;
    if (form_is_op(u, MAP_1, 0x8d) && i->opsize == 2)
        return false;
    if (form_operand(u, OC_MOFFS) >= 0 && (int64_t)i->imm != (int32_t)i->imm)
        return false;
    return true;
}
