/* SPDX-License-Identifier: MIT */
/* Which accesses of a block share a check. */
#include "vmm/engines/recompiler/share.h"

#include "lib/string.h"

#define REACH 256         // bytes that a group may span
#define FAR   (1 << 30)   // no displacement that is added to
#define OPEN  12u         // groups that may still grow
#define BIT(n) (1u << (n))

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
        switch (unit_operand_class(u, n)) {
        case OC_REG:    set |= BIT(i->reg & 15); break;
        case OC_RM:     set |= i->memory ? 0 : BIT(i->rm & 15); break;
        case OC_OPREG:  set |= BIT(i->rm & 15); break;
        case OC_VVVV:   set |= BIT(i->vvvv & 15); break;
        case OC_FIXED0: set |= BIT(CPU_RAX); break;
        default:        break;
        }
    /* A source in modrm.reg is only read: MOV, and operations on a destination in modrm.rm. */
    if (unit_operand_class(u, 1) == OC_REG && unit_operand_class(u, 0) == OC_RM && i->map <= MAP_0F &&
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
    if (u->class != INSN_COPY || i->map != MAP_1 || i->opsize != t->code_size ||
        (int64_t)i->imm > 4096 || (int64_t)i->imm < -4096)
        return false;
    if ((i->opcode == 0x81 || i->opcode == 0x83) && !i->memory && i->rm == CPU_RSP) {
        *by = (i->modrm >> 3 & 7) == 0 ? (int32_t)i->imm : -(int32_t)i->imm;
        return (i->modrm >> 3 & 7) == 0 || (i->modrm >> 3 & 7) == 5;
    }
    if (i->opcode == 0x8d && i->reg == CPU_RSP && i->base == CPU_RSP && i->index == INSN_NO_REG &&
        i->addrsize == t->code_size && i->disp <= 4096 && i->disp >= -4096) {
        *by = i->disp;
        return true;
    }
    return false;
}

/* An access that can be in a group. */
struct touch {
    struct ea ea;
    unsigned size;
    bool stack, write;
};

static bool touches(const struct translation *t, const struct unit *u, struct touch *touch)
{
    unsigned word = t->code_size;

    if (u->class == INSN_POP || u->class == INSN_RET) {
        *touch = (struct touch){{.base = CPU_RSP}, word, true, false};
        return true;
    }
    /*
     * Those with an operand in memory make two accesses, each checked by itself. Outside 64-bit code the stack pointer behind the
     * last word below 4 GiB is 0, and the access by the whole register 4 GiB lower: one byte more, which is not in that page.
     */
    if (u->class == INSN_PUSH || u->class == INSN_CALL || u->class == INSN_CALL_INDIRECT) {
        *touch = (struct touch){{.base = CPU_RSP, .disp = -(int32_t)word}, word == 4 ? 5 : word, true, true};
        return !u->insn.memory;
    }
    if (u->class != INSN_COPY || !u->effects.size || !u->insn.memory)
        return false;
    *touch = (struct touch){.ea = operand_ea(t, u), .size = u->effects.size,
                            .write = u->effects.writes};
    touch->stack = operand_is_stack(touch->ea);
    if (touch->ea.base == INSN_NO_REG && touch->ea.index == INSN_NO_REG)
        return false;
    return touch->ea.narrow == (t->code_size == 4) && touch->ea.disp < FAR && touch->ea.disp > -FAR;
}

/* Groups that may still grow: of accesses whose addresses differ in the displacement alone. */
struct open {
    struct touch touch; // the first
    struct group *group;
};

struct open_list {
    unsigned count;
    struct open open[OPEN];
};

static bool alike(const struct touch *a, const struct touch *b)
{
    if (a->stack || b->stack)
        return a->stack && b->stack;
    return a->ea.base == b->ea.base && a->ea.index == b->ea.index &&
           (a->ea.index == INSN_NO_REG || a->ea.scale == b->ea.scale) &&
           a->ea.segment_base == b->ea.segment_base;
}

static bool depends(const struct touch *touch, uint32_t written, bool stack_moved)
{
    const struct ea *ea = &touch->ea;

    if (written == ~0u)
        return true;
    if (touch->stack)
        return written & BIT(CPU_RSP) && !stack_moved;
    return (ea->base < 16 && written >> ea->base & 1) || (ea->index < 16 && written >> ea->index & 1);
}

/* `stack_moved`: the stack pointer is written to, but it is known by how much. */
static void close(struct open_list *list, uint32_t written, bool stack_moved)
{
    unsigned left = 0;

    for (unsigned n = 0; n < list->count; n++)
        if (!depends(&list->open[n].touch, written, stack_moved))
            list->open[left++] = list->open[n];
    list->count = left;
}

/* There is one stack page: where another may be meant, what was open is over. */
static void close_stack(struct open_list *list)
{
    unsigned left = 0;

    for (unsigned n = 0; n < list->count; n++)
        if (!list->open[n].touch.stack)
            list->open[left++] = list->open[n];
    list->count = left;
}

static bool grow(struct group *g, int32_t low, int32_t high, bool write)
{
    int32_t l = g->low < low ? g->low : low, h = g->high > high ? g->high : high;

    if ((int64_t)h - l > REACH)
        return false;
    g->low = l;
    g->high = h;
    g->members++;
    g->writes |= write;
    return true;
}

static struct group *join(struct translation *t, struct open_list *list, const struct touch *touch,
                          int32_t delta)
{
    int32_t low = touch->ea.disp + delta, high = low + (int32_t)touch->size;
    struct group *g;

    for (unsigned n = 0; n < list->count; n++)
        if (alike(&list->open[n].touch, touch) && grow(list->open[n].group, low, high, touch->write))
            return list->open[n].group;
    if (touch->stack)
        close_stack(list);
    g = &t->group[t->group_count++];
    *g = (struct group){.low = low, .high = high, .members = 1, .writes = touch->write};
    if (list->count == OPEN)
        memmove(&list->open[0], &list->open[1], --list->count * sizeof(list->open[0]));
    list->open[list->count++] = (struct open){*touch, g};
    return g;
}

static bool loads(const struct unit *u)
{
    return u->class == INSN_COPY && u->insn.memory && u->effects.kind == COPY_PLAIN && !u->effects.writes;
}

void share_find(struct translation *t)
{
    struct open_list list = {.count = 0};
    uint32_t loaded = 0; // registers
    int32_t delta = 0, by;
    struct touch touch;

    t->group_count = 0;
    for (unsigned n = 0; n < t->count; n++) {
        struct unit *u = &t->unit[n];
        uint32_t written = share_written(u);
        bool moved;

        u->group = NULL;
        u->delta = delta;
        loaded = loads(u) ? loaded | written : loaded;
        u->chases = u->insn.base < 16 && loaded >> u->insn.base & 1;
        loaded = loads(u) ? loaded : loaded & ~written;
        if (t->mode & REC_MODE_PLAIN)
            continue;
        if (touches(t, u, &touch))
            u->group = join(t, &list, &touch, touch.stack ? delta : 0);
        else if (u->class == INSN_PUSH || (u->insn.memory && u->insn.base == CPU_RSP))
            close_stack(&list); // by itself it may come to another page
        moved = written & BIT(CPU_RSP) && moves_stack(t, u, &by);
        delta += moved ? by : 0;
        close(&list, written, moved);
    }
}
