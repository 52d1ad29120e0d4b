/* SPDX-License-Identifier: MIT */
/* What is done with an instruction: copied, a sequence of its own, a C function's, or the interpreter's. */
#include "vmm/engines/recompiler/translate.h"

/* May the processor's unit for it be used in this mode? */
static bool unit_allowed(const struct translation *t, const struct effects *e)
{
    switch (e->kind) {
    case COPY_PLAIN:  return true;
    case COPY_X87:    return t->mode & REC_MODE_X87;
    case COPY_VECTOR: return t->mode & REC_MODE_SSE;
    case COPY_VEX:    return t->mode & REC_MODE_AVX;
    default:          return false;
    }
}

/* Branches by FF have no 16-bit form here, nor do others with a prefix that says so. */
static enum insn_class class_of_ff(const struct insn *i)
{
    switch (i->modrm >> 3 & 7) {
    case 2: return INSN_CALL_INDIRECT;
    case 4: return INSN_JMP_INDIRECT;
    case 6: return INSN_PUSH;
    default: return INSN_INTERPRET;
    }
}

static enum insn_class class_of_01(const struct insn *i)
{
    if (i->prefixes & (INSN_REP | INSN_REPNE | INSN_OPSIZE | INSN_LOCK))
        return INSN_INTERPRET;
    return i->modrm == 0xc9   ? INSN_MWAIT
           : i->modrm == 0xca ? INSN_CLAC
           : i->modrm == 0xcb ? INSN_STAC
           : i->modrm == 0xf8 ? INSN_SWAPGS
           : i->modrm == 0xf9 ? INSN_RDTSC : INSN_INTERPRET; // RDTSCP
}

/* 0F AE without memory: fences, and with F3 the bases of FS and GS. */
static enum insn_class class_of_ae(const struct insn *i)
{
    unsigned reg = i->modrm >> 3 & 7;

    if (i->prefixes & INSN_REP)
        return reg < 4 ? INSN_BASE : INSN_INTERPRET;
    return reg >= 5 && !(i->prefixes & (INSN_REPNE | INSN_OPSIZE)) ? INSN_FENCE : INSN_INTERPRET;
}

static bool is_bit_string(const struct insn *i)
{
    unsigned op = i->opcode;

    return i->memory && (op == 0xa3 || op == 0xab || op == 0xb3 || op == 0xbb);
}

static enum insn_class class_by_opcode(const struct insn *i)
{
    unsigned op = i->opcode;

    if (i->map == MAP_0F) {
        if (op >= 0x80 && op <= 0x8f)
            return INSN_JCC;
        if (op == 0x20 && (i->reg == 0 || (i->reg >= 2 && i->reg <= 4)))
            return INSN_READ_CR;
        if (op == 0x22 && i->reg == 3)
            return INSN_WRITE_CR3;
        if (op == 0xae && !i->memory)
            return class_of_ae(i);
        if (op == 0xae && (i->modrm >> 3 & 7) >= 4 && (i->modrm >> 3 & 7) <= 6 &&
            !(i->prefixes & (INSN_REP | INSN_REPNE | INSN_OPSIZE)))
            return (i->modrm >> 3 & 7) == 5 ? INSN_XRSTOR : INSN_XSAVE;
        if (op == 0x01 && i->memory && (i->modrm >> 3 & 7) == 7)
            return INSN_INVLPG;
        if (is_bit_string(i))
            return INSN_BIT;
        if (op == 0x30)
            return INSN_WRITE_MSR;
        if (op == 0x31)
            return INSN_RDTSC;
        if (op == 0x05)
            return INSN_SYSCALL;
        if (op == 0x07)
            return INSN_SYSRET;
        if (op == 0x01 && !i->memory)
            return class_of_01(i);
        return op == 0x0d || (op >= 0x18 && op <= 0x1f) ? INSN_NOP // prefetches and hints
                                                        : INSN_INTERPRET;
    }
    if (i->map != MAP_1)
        return INSN_INTERPRET;
    switch (op) {
    case 0x50 ... 0x57: case 0x68: case 0x6a: return INSN_PUSH;
    case 0x58 ... 0x5f: return INSN_POP;
    case 0x70 ... 0x7f: return INSN_JCC;
    case 0x90: return (i->rex & 1) && !(i->prefixes & INSN_REP) ? INSN_COPY : INSN_NOP; // PAUSE
    case 0xc2: case 0xc3: return INSN_RET;
    case 0x8c: return i->memory || i->reg > SEG_GS ? INSN_INTERPRET : INSN_READ_SEGMENT;
    case 0x9c: return INSN_PUSHF;
    case 0x9d: return INSN_POPF;
    case 0xa4: case 0xa5: case 0xaa: case 0xab: return INSN_STRING;
    case 0xc9: return INSN_LEAVE;
    case 0xcf: return INSN_IRET;
    case 0xfa: return INSN_CLI;
    case 0xfb: return INSN_STI;
    case 0xfc: case 0xfd: return INSN_DF;
    case 0xe8: return INSN_CALL;
    case 0xe9: case 0xeb: return INSN_JMP;
    case 0xff: return class_of_ff(i);
    default: return INSN_INTERPRET;
    }
}

/* Outside of 64-bit code FS and GS have limits, and CS cannot be written to. */
static bool segment_allowed(const struct translation *t, const struct unit *u)
{
    const struct insn *i = &u->insn;

    if (t->code_size == 8)
        return true;
    if (i->segment == SEG_CS)
        return !u->effects.size || !u->effects.writes;
    return i->segment < SEG_FS ||
           (t->mode & (i->segment == SEG_FS ? REC_MODE_FS : REC_MODE_GS));
}

/* What is counted from the instruction will be counted from its page, in 32 bits all the same. */
static bool is_near(const struct insn *i)
{
    bool branches = operand_kinds[opcode_rows[i->op].operand[0]].class == OC_REL;
    int64_t distance = i->base == INSN_RIP ? i->disp : branches ? (int32_t)i->imm : 0;

    return distance < INT32_MAX - 2 * (int64_t)PAGE_BYTES;
}

enum insn_class insn_class_of(const struct translation *t, const struct unit *u)
{
    const struct insn *i = &u->insn;
    enum insn_class class = class_by_opcode(i);

    if (!segment_allowed(t, u) || !is_near(i))
        return INSN_INTERPRET;
    if (i->map == MAP_V1 && i->opcode == 0x77 && t->code_size != 8)
        return INSN_INTERPRET; // VZEROUPPER would clear registers that only 64-bit code has
    if (class == INSN_NOP || class == INSN_JCC)
        return i->opsize == 2 && class == INSN_JCC ? INSN_INTERPRET : class;
    if (class == INSN_INTERPRET || class == INSN_COPY)
        return u->effects.kind != COPY_NO && unit_allowed(t, &u->effects) && copy_can(u)
                   ? INSN_COPY : INSN_INTERPRET;
    if (class == INSN_STRING || class == INSN_DF)
        return i->addrsize == t->code_size || class == INSN_DF ? class : INSN_INTERPRET;
    if (class == INSN_FENCE || class == INSN_READ_SEGMENT)
        return class;
    if (class == INSN_BASE)
        return t->mode & REC_MODE_BASES ? class : INSN_INTERPRET;
    if (class == INSN_BIT)
        return copy_can_bit(t, u) ? class : INSN_INTERPRET;
    if (class == INSN_SYSCALL)
        return t->code_size == 8 ? class : INSN_INTERPRET;
    if (class == INSN_SYSRET || class == INSN_IRET)
        return t->code_size == 8 && i->opsize == 8 && !(t->mode & REC_MODE_USER) ? class
                                                                                : INSN_INTERPRET;
    if (class == INSN_XSAVE || class == INSN_XRSTOR)
        return t->code_size == 8 && i->addrsize == 8 && (t->mode & REC_MODE_AVX) ? class : INSN_INTERPRET;
    if (class == INSN_WRITE_CR3 || class == INSN_INVLPG)
        return t->code_size == 8 && i->addrsize == 8 && !(t->mode & REC_MODE_USER) ? class : INSN_INTERPRET;
    if (class == INSN_MWAIT)
        return t->mode & REC_MODE_USER || t->blocks->alone ? INSN_INTERPRET : class;
    if (class == INSN_READ_CR || class == INSN_WRITE_MSR)
        return t->mode & REC_MODE_USER ? INSN_INTERPRET : class;
    if (class == INSN_RDTSC)
        return t->mode & REC_MODE_CLOCK ? class : INSN_INTERPRET;
    if (class == INSN_CLI || class == INSN_STI)
        return t->mode & REC_MODE_USER ? INSN_INTERPRET : class;
    if (class == INSN_STAC || class == INSN_CLAC)
        return !(t->mode & REC_MODE_USER) && (t->mode & REC_MODE_SMAP) ? class : INSN_INTERPRET;
    if (class == INSN_SWAPGS || class == INSN_PUSHF || class == INSN_POPF) {
        if ((t->mode & REC_MODE_USER) || (class == INSN_SWAPGS && t->code_size != 8))
            return INSN_INTERPRET;
        if (class == INSN_SWAPGS)
            return class;
    }
    /* The stack and branches by whole words only, and addresses of 32 or 64 bits. */
    if (i->opsize != t->code_size || (i->memory && i->addrsize == 2))
        return INSN_INTERPRET;
    return class;
}
