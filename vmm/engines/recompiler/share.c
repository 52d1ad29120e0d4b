/* SPDX-License-Identifier: MIT */
/* Which accesses of a block share a check. */
#include "vmm/engines/recompiler/share.h"

#define REACH 256 // bytes that a group may span
#define BIT(n) (1u << (n))
#define BASE_RIP 16u
#define BASES    17u

static unsigned class_of(const struct unit *u, unsigned n)
{
    return operand_kinds[opcode_rows[u->insn.op].operand[n]].class;
}

/* Registers that a copied instruction writes to besides its operands. */
static uint32_t implicit(const struct insn *i)
{
    unsigned op = i->opcode, reg = i->modrm >> 3 & 7;

    if (i->map == MAP_1) {
        if (op == 0x98 || op == 0x99 || op == 0x9f || ((op == 0xf6 || op == 0xf7) && reg >= 4))
            return BIT(CPU_RAX) | BIT(CPU_RDX);
        if (op == 0xdf || (op >= 0xa0 && op <= 0xa3) || (op >= 0x90 && op <= 0x97))
            return BIT(CPU_RAX); // FNSTSW AX; moffs; XCHG
    }
    if ((i->map == MAP_3A || i->map == MAP_V3) && op >= 0x60 && op <= 0x63)
        return BIT(CPU_RCX); // PCMPxSTRI
    if (i->map == MAP_0F && (op == 0xb0 || op == 0xb1 || op == 0xc7))
        return BIT(CPU_RAX) | BIT(CPU_RDX);
    return 0;
}

uint32_t share_written(const struct unit *u)
{
    const struct insn *i = &u->insn;
    uint32_t set = 0;

    switch (u->class) {
    case INSN_NOP: case INSN_CLI: case INSN_STI: case INSN_FENCE: case INSN_JCC: case INSN_BIT:
    case INSN_DF:
        return 0;
    case INSN_PUSH: return BIT(CPU_RSP);
    case INSN_POP:  return BIT(CPU_RSP) | BIT(i->rm & 15);
    case INSN_COPY: break;
    default:        return ~0u;
    }
    for (unsigned n = 0; n < 4; n++)
        switch (class_of(u, n)) {
        case OC_REG:    set |= BIT(i->reg & 15); break;
        case OC_RM:     set |= i->memory ? 0 : BIT(i->rm & 15); break;
        case OC_OPREG:  set |= BIT(i->rm & 15); break;
        case OC_VVVV:   set |= BIT(i->vvvv & 15); break;
        case OC_FIXED0: set |= BIT(CPU_RAX); break;
        default:        break;
        }
    /* A source in modrm.reg is only read: MOV, and operations on a destination in modrm.rm. */
    if (class_of(u, 1) == OC_REG && class_of(u, 0) == OC_RM && i->map <= MAP_0F &&
        !(i->map == MAP_1 && (i->opcode == 0x86 || i->opcode == 0x87)) &&
        !(i->map == MAP_0F && (i->opcode == 0xc0 || i->opcode == 0xc1)))
        set &= ~BIT(i->reg & 15) | (i->memory ? 0 : BIT(i->rm & 15));
    /* Without a register's byte of another name: AH is of RAX. */
    if (!(i->prefixes & INSN_REX) && i->map < MAP_V1)
        set |= (set >> 4 & 15);
    return set | implicit(i);
}

/* ADD, SUB of an immediate, LEA: what becomes of the stack pointer. False: unknown. */
static bool moves_stack(const struct translation *t, const struct unit *u, int32_t *by)
{
    const struct insn *i = &u->insn;
    int32_t word = (int32_t)t->code_size;

    if (u->class == INSN_PUSH || u->class == INSN_POP) {
        *by = u->class == INSN_PUSH ? -word : word;
        return !(u->class == INSN_POP && (i->rm & 15) == CPU_RSP);
    }
    if (u->class != INSN_COPY || i->map != MAP_1 || t->code_size != 8 || i->opsize != 8 ||
        (int64_t)i->imm > 4096 || (int64_t)i->imm < -4096)
        return false;
    if ((i->opcode == 0x81 || i->opcode == 0x83) && !i->memory && i->rm == CPU_RSP) {
        *by = (i->modrm >> 3 & 7) == 0 ? (int32_t)i->imm : -(int32_t)i->imm;
        return (i->modrm >> 3 & 7) == 0 || (i->modrm >> 3 & 7) == 5;
    }
    if (i->opcode == 0x8d && i->reg == CPU_RSP && i->base == CPU_RSP && i->index == INSN_NO_REG &&
        i->addrsize == 8 && i->disp <= 4096 && i->disp >= -4096) {
        *by = i->disp;
        return true;
    }
    return false;
}

/* The access that can be in a group: base, first byte from it, size. */
struct touch {
    unsigned base;
    int32_t disp;
    unsigned size;
    bool write;
};

static bool touches(const struct translation *t, const struct unit *u, struct touch *touch)
{
    int32_t word = (int32_t)t->code_size;
    struct ea ea;

    if (t->code_size != 8)
        return false;
    if (u->class == INSN_POP || u->class == INSN_RET) {
        *touch = (struct touch){CPU_RSP, 0, (unsigned)word, false};
        return true;
    }
    /* Those with an operand in memory make two accesses, each checked by itself. */
    if (u->class == INSN_PUSH || u->class == INSN_CALL || u->class == INSN_CALL_INDIRECT) {
        *touch = (struct touch){CPU_RSP, -word, (unsigned)word, true};
        return !u->insn.memory;
    }
    if (u->class != INSN_COPY || !u->effects.size || u->effects.aligned || !u->insn.memory)
        return false;
    ea = operand_ea(t, u);
    if (ea.segment_base || ea.narrow || ea.index != INSN_NO_REG || ea.base == INSN_NO_REG)
        return false;
    *touch = (struct touch){ea.base == INSN_RIP ? BASE_RIP : ea.base, ea.disp, u->effects.size,
                            u->effects.writes};
    return true;
}

static struct group *join(struct translation *t, int *open, const struct touch *touch, int32_t delta)
{
    int32_t low = touch->disp + delta, high = low + (int32_t)touch->size;
    struct group *g;

    if (*open >= 0) {
        int32_t l, h;

        g = &t->group[*open];
        l = g->low < low ? g->low : low;
        h = g->high > high ? g->high : high;
        if (h - l <= REACH) {
            g->low = l;
            g->high = h;
            g->members++;
            return g;
        }
    }
    *open = (int)t->group_count;
    g = &t->group[t->group_count++];
    *g = (struct group){.low = low, .high = high, .members = 1};
    return g;
}

void share_find(struct translation *t)
{
    int open[BASES][2];
    int32_t delta = 0, by;
    struct touch touch;

    t->group_count = 0;
    for (unsigned b = 0; b < BASES; b++)
        open[b][0] = open[b][1] = -1;
    for (unsigned n = 0; n < t->count; n++) {
        struct unit *u = &t->unit[n];
        uint32_t written = share_written(u);

        u->group = NULL;
        u->delta = delta;
        if (t->mode & REC_MODE_PLAIN)
            continue;
        if (touches(t, u, &touch))
            /* Of the stack's page all is writable: one group for both. */
            u->group = join(t, &open[touch.base][touch.base != CPU_RSP && touch.write], &touch,
                            touch.base == CPU_RSP ? delta : 0);
        if (written & BIT(CPU_RSP) && moves_stack(t, u, &by)) {
            delta += by;
            written &= ~BIT(CPU_RSP);
        }
        for (unsigned b = 0; b < 16; b++)
            if (written >> b & 1)
                open[b][0] = open[b][1] = -1;
        if (written == ~0u)
            open[BASE_RIP][0] = open[BASE_RIP][1] = -1;
    }
}
