/* SPDX-License-Identifier: MIT */
/* What instructions do with flags and memory. */
#include "vmm/engines/recompiler/effects.h"

#define NOT_C (FLAG_ALL & ~FLAG_C)

/* Rows whose handler is `none`: for such a one alone there is a second argument. Not offered to the guest, whatever the host has. */
#define SECOND_(first, second, ...) second
#define SECOND(...)  SECOND_(__VA_ARGS__, 0, 0)
#define HANDLER_none 0, 1

static const bool not_executed[ROW_COUNT] = {
#define OP(map, byte, select, name, handler, ...) [ROW_##map##_##byte] = SECOND(HANDLER_##handler),
#define OR(map, byte, select, name, handler, ...) [ROW_PASTE(ROW_ALTERNATIVE_, __LINE__)] = SECOND(HANDLER_##handler),
#include "vmm/cpu/opcodes.def"
#undef OP
#undef OR
};

unsigned effects_condition(unsigned cc)
{
    static const uint16_t flags[8] = {FLAG_O, FLAG_C, FLAG_Z, FLAG_C | FLAG_Z,
                                      FLAG_S, FLAG_P, FLAG_S | FLAG_O, FLAG_S | FLAG_O | FLAG_Z};

    return flags[cc >> 1 & 7];
}

static void flags(struct effects *e, unsigned read, unsigned written)
{
    e->read = (uint16_t)read;
    e->written = e->touched = (uint16_t)written;
}

/* ADD OR ADC SBB AND SUB XOR CMP, by number. */
static void arithmetic(struct effects *e, unsigned operation)
{
    flags(e, operation == 2 || operation == 3 ? FLAG_C : 0, FLAG_ALL);
    e->kind = COPY_PLAIN;
    if (operation == 7)
        e->writes = false;
}

/* ROL ROR RCL RCR SHL SHR SAL SAR, by number. count: -1 unknown. */
static void shift(struct effects *e, unsigned operation, int count, unsigned opsize)
{
    unsigned may = operation < 4 ? FLAG_C | FLAG_O : FLAG_ALL;

    e->kind = COPY_PLAIN;
    e->read = operation == 2 || operation == 3 ? FLAG_C : 0;
    e->touched = (uint16_t)may;
    if (count >= 0)
        count &= opsize == 8 ? 63 : 31;
    e->written = count > 0 && (operation < 2 || operation > 3) ? (uint16_t)may : 0;
    if (count == 0)
        e->touched = 0;
}

/* F6 and F7, by modrm.reg. */
static void group3(struct effects *e, unsigned operation)
{
    e->kind = COPY_PLAIN;
    switch (operation) {
    case 0: case 1: flags(e, 0, FLAG_ALL); e->writes = false; break; // TEST
    case 2: break;                                                  // NOT
    case 3: flags(e, 0, FLAG_ALL); break;                           // NEG
    default:                                                        // MUL IMUL DIV IDIV
        flags(e, 0, FLAG_ALL);
        e->writes = false;
        e->traps = operation >= 6;
        break;
    }
}

static void one_byte(struct effects *e, const struct insn *i)
{
    unsigned op = i->opcode, reg = i->modrm >> 3 & 7;

    if (op < 0x40 && (op & 7) < 6) {
        arithmetic(e, op >> 3);
        return;
    }
    switch (op) {
    case 0x40 ... 0x4f: e->kind = COPY_PLAIN; flags(e, 0, NOT_C); break; // INC, DEC outside 64 bits
    case 0x63: e->kind = i->opsize == 8 || i->rex ? COPY_PLAIN : COPY_NO; break; // MOVSXD
    case 0x69: case 0x6b: e->kind = COPY_PLAIN; flags(e, 0, FLAG_ALL); break;
    case 0x80: case 0x81: case 0x83: arithmetic(e, reg); break;
    case 0x84: case 0x85:
        e->kind = COPY_PLAIN;
        flags(e, 0, FLAG_ALL);
        e->writes = false;
        break;
    case 0x86: case 0x87: e->writes = true; e->kind = COPY_PLAIN; break;
    case 0x8d: e->kind = i->memory ? COPY_PLAIN : COPY_NO; break;
    case 0xc6: case 0xc7: e->kind = reg == 0 ? COPY_PLAIN : COPY_NO; break; // else XABORT, XBEGIN
    case 0x88 ... 0x8b: case 0x98: case 0x99: case 0xa0 ... 0xa3:
    case 0xb0 ... 0xbf: case 0x90 ... 0x97:
        e->kind = COPY_PLAIN;
        break;
    case 0x9e: e->kind = COPY_PLAIN; flags(e, 0, FLAG_ALL & ~FLAG_O); break; // SAHF
    case 0x9f: e->kind = COPY_PLAIN; flags(e, FLAG_ALL & ~FLAG_O, 0); break; // LAHF
    case 0xa8: case 0xa9: e->kind = COPY_PLAIN; flags(e, 0, FLAG_ALL); break;
    case 0xc0: shift(e, reg, (int)(i->imm & 0xff), 1); break; // REX.W or not
    case 0xc1: shift(e, reg, (int)(i->imm & 0xff), i->opsize); break;
    case 0xd0: case 0xd1: shift(e, reg, 1, i->opsize); break;
    case 0xd2: case 0xd3: shift(e, reg, -1, i->opsize); break;
    case 0xf5: e->kind = COPY_PLAIN; flags(e, FLAG_C, FLAG_C); break;
    case 0xf8: case 0xf9: e->kind = COPY_PLAIN; flags(e, 0, FLAG_C); break;
    case 0xf6: case 0xf7: group3(e, reg); break;
    case 0xfe: case 0xff:
        if (reg < 2) {
            e->kind = COPY_PLAIN;
            flags(e, 0, NOT_C);
        }
        break;
    case 0x9b: case 0xd8 ... 0xdf: e->kind = COPY_X87; e->traps = true; break;
    default: break;
    }
}

/* BT BTS BTR BTC by number; a bit string in memory with the bit in a register reaches far. */
static void bit(struct effects *e, const struct insn *i, unsigned operation, bool immediate)
{
    flags(e, 0, FLAG_C);
    e->writes = operation != 0;
    if (i->memory && !immediate)
        return; // INSN_BIT
    e->kind = COPY_PLAIN;
}

static void two_byte(struct effects *e, const struct insn *i)
{
    unsigned op = i->opcode, reg = i->modrm >> 3 & 7;
    bool f3 = i->prefixes & INSN_REP;

    switch (op) {
    case 0x40 ... 0x4f: e->kind = COPY_PLAIN; flags(e, effects_condition(op & 15), 0); break;
    case 0x90 ... 0x9f: e->kind = COPY_PLAIN; flags(e, effects_condition(op & 15), 0); break;
    case 0xa3: case 0xab: case 0xb3: case 0xbb: bit(e, i, op >> 3 & 3, false); break;
    case 0xba:
        if (reg >= 4)
            bit(e, i, reg - 4, true);
        break;
    case 0xa4: case 0xac:
    case 0xa5: case 0xad:
        e->kind = COPY_PLAIN;
        e->touched = FLAG_ALL;
        if (!(op & 1) && (i->imm & (i->opsize == 8 ? 63 : 31)))
            e->written = FLAG_ALL;
        break;
    case 0xaf: e->kind = COPY_PLAIN; flags(e, 0, FLAG_ALL); break;
    case 0xb0: case 0xb1: e->kind = COPY_PLAIN; flags(e, 0, FLAG_ALL); break;
    case 0xb6: case 0xb7: case 0xbe: case 0xbf: e->kind = COPY_PLAIN; break;
    case 0xb8: // POPCNT
        if (f3) {
            e->kind = COPY_PLAIN;
            flags(e, 0, FLAG_ALL);
            e->traps = true;
        }
        break;
    case 0xbc: case 0xbd: // without operand bits the result is undefined: on this host as ever
        e->kind = COPY_PLAIN;
        flags(e, 0, FLAG_ALL);
        break;
    case 0xc0: case 0xc1: e->kind = COPY_PLAIN; flags(e, 0, FLAG_ALL); e->writes = true; break;
    case 0xc3: e->kind = i->memory ? COPY_PLAIN : COPY_NO; break; // MOVNTI
    case 0xc7:
        if (i->memory && reg == 1) { // CMPXCHG8B, CMPXCHG16B
            e->kind = COPY_PLAIN;
            flags(e, 0, FLAG_Z);
            e->size = i->opsize == 8 ? 16 : 8;
            e->aligned = i->opsize == 8;
            e->writes = true;
        }
        break;
    case 0xc8 ... 0xcf: e->kind = COPY_PLAIN; break;
    default: break;
    }
}

/* SSE and MMX of the 0F map: which need more than copying, or are something else. */
static bool copies_vector_0f(const struct insn *i)
{
    unsigned op = i->opcode, reg = i->modrm >> 3 & 7;

    if (op == 0xae)
        return i->memory && (reg == 2 || reg == 3) && !(i->prefixes & (INSN_REP | INSN_OPSIZE)); // LDMXCSR
    if (op == 0xf7)
        return false; // MASKMOVQ, MASKMOVDQU
    if (op == 0x2b || op == 0x10 || op == 0x11)
        return true;
    return (op >= 0x10 && op <= 0x17) || (op >= 0x28 && op <= 0x2f) || (op >= 0x50 && op <= 0x77) ||
           (op >= 0x7c && op <= 0x7f) || op == 0xc2 || (op >= 0xc4 && op <= 0xc6) ||
           (op >= 0xd0 && op != 0xff);
}

static bool unaligned_0f(const struct insn *i)
{
    unsigned op = i->opcode;
    bool f2 = i->prefixes & INSN_REPNE, f3 = i->prefixes & INSN_REP;

    return op == 0x10 || op == 0x11 || (f3 && (op == 0x6f || op == 0x7f)) || (f2 && op == 0xf0);
}

static bool aligned_vex(const struct insn *i)
{
    unsigned op = i->opcode;

    if (i->map == MAP_V2)
        return op == 0x2a;
    return i->map == MAP_V1 && (op == 0x28 || op == 0x29 || op == 0x2b || op == 0xe7);
}

static bool is_class(const struct opcode_row *row, unsigned n, unsigned class)
{
    return operand_kinds[row->operand[n]].class == class;
}

static bool has_class(const struct opcode_row *row, unsigned class)
{
    return is_class(row, 0, class) || is_class(row, 1, class) || is_class(row, 2, class) ||
           is_class(row, 3, class);
}

/* COMISS and its like, PTEST, VTESTPS: they only compare. */
static bool compares(const struct insn *i)
{
    unsigned op = i->opcode;

    if (i->map == MAP_0F || i->map == MAP_V1)
        return op == 0x2e || op == 0x2f;
    if (i->map == MAP_38 || i->map == MAP_V2)
        return op == 0x17 || (i->map == MAP_V2 && (op == 0x0e || op == 0x0f));
    return (i->map == MAP_3A || i->map == MAP_V3) && op >= 0x60 && op <= 0x63; // PCMPxSTRx
}

static void vector(struct effects *e, const struct insn *i, const struct opcode_row *row)
{
    bool vex = i->map >= MAP_V1, mmx = has_class(row, OC_MREG) || has_class(row, OC_MRM);

    e->traps = true;
    if (i->map == MAP_0F && i->opcode == 0xae)
        e->writes = (i->modrm >> 3 & 7) == 3; // STMXCSR
    e->kind = vex ? COPY_VEX : mmx ? COPY_X87 : COPY_VECTOR;
    if (compares(i))
        flags(e, 0, FLAG_ALL);
    if (vex)
        e->aligned = aligned_vex(i);
    else
        e->aligned = !(i->map == MAP_0F && unaligned_0f(i)) &&
                     !(i->map == MAP_3A && i->opcode >= 0x60 && i->opcode <= 0x63) && e->size == 16;
    if (i->map == MAP_V2 && ((i->opcode >= 0x2c && i->opcode <= 0x2f) || i->opcode == 0x8c ||
                             i->opcode == 0x8e || (i->opcode >= 0x90 && i->opcode <= 0x93)))
        e->kind = COPY_NO; // masked moves and gathers touch less than their operand
    if (i->map == MAP_V1 && i->opcode == 0xf7)
        e->kind = COPY_NO; // VMASKMOVDQU
}

/* General instructions of the 0F38, 0F3A and VEX maps. True if it was one. */
static bool general(struct effects *e, const struct insn *i)
{
    unsigned op = i->opcode, pp = i->prefixes & INSN_REPNE   ? 3
                                  : i->prefixes & INSN_REP    ? 2
                                  : i->prefixes & INSN_OPSIZE ? 1
                                                              : 0;

    if (i->map == MAP_38 && (op == 0xf0 || op == 0xf1)) {
        e->kind = COPY_PLAIN; // MOVBE, CRC32
        e->traps = true;
        return true;
    }
    if (i->map == MAP_38 && op == 0xf6 && pp) {
        e->kind = COPY_PLAIN; // ADCX, ADOX
        e->traps = true;
        flags(e, pp == 1 ? FLAG_C : FLAG_O, pp == 1 ? FLAG_C : FLAG_O);
        return pp < 3;
    }
    return false;
}

/* BMI: VEX encodings of general registers. */
static bool bmi(struct effects *e, const struct insn *i, const struct opcode_row *row)
{
    unsigned op = i->opcode;
    bool vectors = has_class(row, OC_VREG) || has_class(row, OC_VRM) || has_class(row, OC_VVEC);

    if (vectors || !(i->map == MAP_V2 || i->map == MAP_V3) || (op & 0xf0) != 0xf0)
        return false;
    e->kind = COPY_PLAIN;
    e->traps = true;
    /* ANDN, BLSx, BZHI, BEXTR write flags; PDEP, PEXT, MULX, SARX, SHLX, SHRX, RORX do not. */
    if (i->map == MAP_V2 && (op == 0xf2 || op == 0xf3))
        flags(e, 0, FLAG_ALL);
    if (i->map == MAP_V2 && (op == 0xf5 || op == 0xf7) && (row->select & 0x180) == 0)
        flags(e, 0, FLAG_ALL);
    return true;
}

/* Which operand is the memory one, and how long it is. */
static int memory_operand(const struct insn *i, const struct opcode_row *row, unsigned *size)
{
    for (int n = 0; n < 4; n++) {
        const struct operand_kind *k = &operand_kinds[row->operand[n]];

        if (k->class != OC_RM && k->class != OC_MEM && k->class != OC_VRM && k->class != OC_MRM &&
            k->class != OC_MOFFS)
            continue;
        switch (k->size) {
        case SIZE_V: *size = i->opsize; break;
        case SIZE_Z: *size = i->opsize == 8 ? 4 : i->opsize; break;
        case SIZE_Y: *size = i->rex & 8 ? 8 : 4; break;
        case SIZE_X: *size = i->vl ? 32 : 16; break;
        case SIZE_H: *size = i->vl ? 16 : 8; break;
        case SIZE_F: *size = i->vl ? 8 : 4; break;
        case SIZE_E: *size = i->vl ? 4 : 2; break;
        case 1: case 2: case 4: case 8: case 10: case 16: *size = k->size; break;
        default: *size = 0; break;
        }
        return n;
    }
    return -1;
}

/* Memory operands of x87, by opcode and modrm.reg: bytes, and bit 7: written. 0: not copied. */
static unsigned x87_memory(unsigned opcode, unsigned reg)
{
    static const uint8_t table[8][8] = {
        {4, 4, 4, 4, 4, 4, 4, 4},
        {4, 0, 0x84, 0x84, 0, 2, 0, 0x82}, // FLD FST FSTP FLDENV FLDCW FNSTENV FNSTCW
        {4, 4, 4, 4, 4, 4, 4, 4},
        {4, 0x84, 0x84, 0x84, 0, 10, 0, 0x8a},
        {8, 8, 8, 8, 8, 8, 8, 8},
        {8, 0x88, 0x88, 0x88, 0, 0, 0, 0x82},
        {2, 2, 2, 2, 2, 2, 2, 2},
        {2, 0x82, 0x82, 0x82, 10, 8, 0x8a, 0x88},
    };

    return table[opcode & 7][reg];
}

static void x87(struct effects *e, const struct insn *i)
{
    unsigned op = i->opcode, reg = i->modrm >> 3 & 7, memory;

    e->size = 0;
    if (i->memory) {
        memory = x87_memory(op, reg);
        e->size = memory & 0x7f;
        e->writes = memory & 0x80;
        if (!memory)
            e->kind = COPY_NO;
        return;
    }
    if ((op == 0xda || op == 0xdb) && reg < 4) { // FCMOVcc
        unsigned bits[4] = {FLAG_C, FLAG_Z, FLAG_C | FLAG_Z, FLAG_P};

        flags(e, bits[reg], 0);
    }
    if ((op == 0xdb || op == 0xdf) && (reg == 5 || reg == 6)) // FUCOMI, FCOMI
        flags(e, 0, FLAG_Z | FLAG_P | FLAG_C | FLAG_O | FLAG_S | FLAG_A);
}

struct effects effects_of(const struct insn *i)
{
    const struct opcode_row *row = &opcode_rows[i->op];
    struct effects e = {0};
    unsigned size = 0;
    int rm = memory_operand(i, row, &size);
    int memory = i->memory || has_class(row, OC_MOFFS) ? rm : -1;

    if (not_executed[i->op])
        return e;
    e.writes = rm == 0;
    if (memory >= 0)
        e.size = (uint8_t)size;
    if (i->map == MAP_1)
        one_byte(&e, i);
    else if (i->map == MAP_0F)
        two_byte(&e, i);
    else if (!general(&e, i))
        (void)bmi(&e, i, row);
    if (e.kind == COPY_X87)
        x87(&e, i);
    if (e.kind == COPY_NO && i->map != MAP_1 && i->map <= MAP_V3 &&
        (i->map != MAP_0F || copies_vector_0f(i)) &&
        (has_class(row, OC_VREG) || has_class(row, OC_VRM) || has_class(row, OC_VVEC) ||
         has_class(row, OC_MREG) || has_class(row, OC_MRM) ||
         (i->map == MAP_0F && (i->opcode == 0xae || i->opcode == 0x77)) ||
         (i->map == MAP_V1 && i->opcode == 0x77)))
        vector(&e, i, row);
    if (e.kind == COPY_VEX && i->map == MAP_V1 && (i->opcode == 0x6f || i->opcode == 0x7f))
        e.aligned = (row->select & 0x180) == 0x080; // VMOVDQA
    if (i->opcode == 0x8d && i->map == MAP_1)
        e.size = 0; // LEA reads nothing
    else if (memory >= 0 && e.size == 0)
        e.kind = COPY_NO;
    if (i->memory && memory < 0 && e.size == 0 && !(i->map == MAP_1 && i->opcode == 0x8d))
        e.kind = COPY_NO;
    return e;
}
