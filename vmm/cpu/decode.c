/* SPDX-License-Identifier: MIT */
/* Instruction decoder. */
#include "vmm/cpu/decode.h"

#include "lib/string.h"

/* Rows 1 to 3 of opcodes.def: encodings of which only the length is known. */
enum { ROW_UNKNOWN = 1, ROW_UNKNOWN_8 = 2, ROW_UNKNOWN_32 = 3 };

/* A cursor over the bytes. */
struct cursor {
    const uint8_t *bytes;
    unsigned at;
    unsigned end;     // bytes there are, at most INSN_MAX
};

/* What a byte means before the opcode. */
enum prefix_class {
    PREFIX_NONE,
    PREFIX_REX,
    PREFIX_SEGMENT,
    PREFIX_OPSIZE,
    PREFIX_ADDRESS,
    PREFIX_LOCK,
    PREFIX_REP,
    PREFIX_REPNE,
    PREFIX_ESCAPE, // 0F
    PREFIX_VEX     // C4 C5 62 8F: perhaps not the opcodes they are in the one-byte map
};

static const uint8_t prefix_classes[256] = {
    [0x0f] = PREFIX_ESCAPE,  [0x26] = PREFIX_SEGMENT, [0x2e] = PREFIX_SEGMENT,
    [0x36] = PREFIX_SEGMENT, [0x3e] = PREFIX_SEGMENT, [0x40] = PREFIX_REX,
    [0x41] = PREFIX_REX,     [0x42] = PREFIX_REX,     [0x43] = PREFIX_REX,
    [0x44] = PREFIX_REX,     [0x45] = PREFIX_REX,     [0x46] = PREFIX_REX,
    [0x47] = PREFIX_REX,     [0x48] = PREFIX_REX,     [0x49] = PREFIX_REX,
    [0x4a] = PREFIX_REX,     [0x4b] = PREFIX_REX,     [0x4c] = PREFIX_REX,
    [0x4d] = PREFIX_REX,     [0x4e] = PREFIX_REX,     [0x4f] = PREFIX_REX,
    [0x62] = PREFIX_VEX,     [0x64] = PREFIX_SEGMENT, [0x65] = PREFIX_SEGMENT,
    [0x66] = PREFIX_OPSIZE,  [0x67] = PREFIX_ADDRESS, [0x8f] = PREFIX_VEX,
    [0xc4] = PREFIX_VEX,     [0xc5] = PREFIX_VEX,     [0xf0] = PREFIX_LOCK,
    [0xf2] = PREFIX_REPNE,   [0xf3] = PREFIX_REP,
};

static enum decode_status out_of_bytes(const struct cursor *c)
{
    return c->end == INSN_MAX ? DECODE_LONG : DECODE_SHORT;
}

static inline bool has(const struct cursor *c, unsigned n)
{
    return c->end - c->at >= n;
}

/* Little-endian, zero-extended; the caller has checked that they are there. */
static uint64_t take(struct cursor *c, unsigned n)
{
    uint64_t value = 0;
    const uint8_t *p = c->bytes + c->at;

    switch (n) {
    case 1: value = p[0]; break;
    case 2: { uint16_t v; memcpy(&v, p, 2); value = v; break; }
    case 4: { uint32_t v; memcpy(&v, p, 4); value = v; break; }
    default: memcpy(&value, p, 8); break;
    }
    c->at += n;
    return value;
}

static unsigned segment_of_prefix(unsigned byte)
{
    return byte < 0x64 ? (byte >> 3) & 3 : byte - 0x64 + SEG_FS;
}

/*
 * Takes legacy and REX prefixes; leaves the cursor on the first opcode byte. A REX prefix counts
 * only right before the opcode (SDM volume 2, 2.2.1); of F2 and F3 the last one counts.
 */
static bool take_prefixes(struct cursor *c, unsigned mode, struct insn *insn)
{
    for (; c->at < c->end; c->at++) {
        unsigned byte = c->bytes[c->at];
        unsigned class = prefix_classes[byte];

        if (class == PREFIX_NONE || class >= PREFIX_ESCAPE || (class == PREFIX_REX && mode != 8))
            return true;
        if (class == PREFIX_REX) {
            insn->prefixes |= INSN_REX;
            insn->rex = byte & 15;
            continue;
        }
        insn->prefixes &= (uint8_t)~INSN_REX;
        insn->rex = 0;
        switch (class) {
        case PREFIX_SEGMENT:
            if (mode != 8 || byte >= 0x64)
                insn->override = (uint8_t)(segment_of_prefix(byte) + 1);
            break;
        case PREFIX_OPSIZE:  insn->prefixes |= INSN_OPSIZE; break;
        case PREFIX_ADDRESS: insn->prefixes |= INSN_ADDRESS; break;
        case PREFIX_LOCK:    insn->prefixes |= INSN_LOCK; break;
        case PREFIX_REP:
            insn->prefixes = (uint8_t)((insn->prefixes & ~INSN_REPNE) | INSN_REP);
            break;
        default: insn->prefixes = (uint8_t)((insn->prefixes & ~INSN_REP) | INSN_REPNE); break;
        }
    }
    return false;
}

static unsigned mandatory_prefix(const struct insn *insn)
{
    if (insn->prefixes & (INSN_REP | INSN_REPNE))
        return insn->prefixes & INSN_REP ? 2 : 3;
    return insn->prefixes & INSN_OPSIZE ? 1 : 0;
}

/* W R X B of a VEX prefix; outside 64-bit code R, X and B have no meaning. */
static void set_vex_rex(struct insn *insn, unsigned mode, unsigned w, unsigned inverted_rxb)
{
    unsigned rxb = mode == 8 ? ~inverted_rxb & 7 : 0;

    insn->rex = (uint8_t)(w << 3 | rxb);
}

/* After C4, C5, 8F or 62 that is a vector prefix: payload and opcode byte. */
static enum decode_status take_vex(struct cursor *c, unsigned mode, struct insn *insn,
                                   unsigned *prefix)
{
    static const uint8_t vex_map[4] = {0, MAP_V1, MAP_V2, MAP_V3};
    static const uint8_t evex_map[8] = {0, MAP_E1, MAP_E2, MAP_E3, 0, MAP_E5, MAP_E6, 0};
    unsigned first = c->bytes[c->at], count = first == 0xc5 ? 2 : first == 0x62 ? 4 : 3;
    const uint8_t *p = c->bytes + c->at + 1;
    unsigned last;

    if (insn->prefixes & (INSN_OPSIZE | INSN_REP | INSN_REPNE | INSN_LOCK | INSN_REX))
        return DECODE_INVALID;
    if (!has(c, count + 1))
        return out_of_bytes(c);
    switch (first) {
    case 0xc5:
        insn->map = MAP_V1;
        last = p[0];
        set_vex_rex(insn, mode, 0, (last >> 7) << 2 | 3);
        break;
    case 0xc4:
        insn->map = (p[0] & 31) < 4 ? vex_map[p[0] & 31] : 0;
        last = p[1];
        set_vex_rex(insn, mode, last >> 7, p[0] >> 5);
        break;
    case 0x8f:
        insn->map = (p[0] & 31) <= 10 ? (uint8_t)(MAP_X8 + (p[0] & 31) - 8) : 0;
        last = p[1];
        set_vex_rex(insn, mode, last >> 7, p[0] >> 5);
        break;
    default:
        insn->map = p[0] & 8 ? 0 : evex_map[p[0] & 7];
        last = p[1];
        set_vex_rex(insn, mode, last >> 7, p[0] >> 5);
        insn->vl = (p[2] >> 5) & 3;
        break;
    }
    if (first != 0x62)
        insn->vl = (last >> 2) & 1;
    insn->vvvv = (uint8_t)(~last >> 3 & 15);
    *prefix = last & 3;
    if (insn->map == 0)
        return DECODE_INVALID;
    c->at += count;
    insn->opcode = c->bytes[c->at++];
    return DECODE_OK;
}

/*
 * C4, C5 and 62 are vector prefixes where they cannot be LES, LDS and BOUND; 8F where it cannot be
 * POP.
 */
static bool is_vex(const struct cursor *c, unsigned mode)
{
    unsigned byte = c->bytes[c->at];

    if (prefix_classes[byte] != PREFIX_VEX || !has(c, 2))
        return false;
    if (byte == 0x8f)
        return (c->bytes[c->at + 1] & 31) >= 8;
    return mode == 8 || c->bytes[c->at + 1] >= 0xc0;
}

/* The opcode bytes: sets map and opcode. */
static enum decode_status take_opcode(struct cursor *c, unsigned mode, struct insn *insn,
                                      unsigned *prefix)
{
    *prefix = mandatory_prefix(insn);
    if (is_vex(c, mode))
        return take_vex(c, mode, insn, prefix);
    insn->opcode = c->bytes[c->at++];
    if (insn->opcode != 0x0f)
        return DECODE_OK;
    if (!has(c, 1))
        return out_of_bytes(c);
    insn->map = MAP_0F;
    insn->opcode = c->bytes[c->at++];
    if (insn->opcode != 0x38 && insn->opcode != 0x3a)
        return DECODE_OK;
    if (!has(c, 1))
        return out_of_bytes(c);
    insn->map = insn->opcode == 0x38 ? MAP_38 : MAP_3A;
    insn->opcode = c->bytes[c->at++];
    return DECODE_OK;
}

/*
 * The row for an encoding of a VEX, EVEX or XOP map that has none: its immediate by map and opcode.
 */
static unsigned unknown_row(const struct insn *insn)
{
    unsigned op = insn->opcode;

    switch (insn->map) {
    case MAP_V1: case MAP_E1:
        return (op >= 0x70 && op <= 0x73) || op == 0xc2 || (op >= 0xc4 && op <= 0xc6)
                   ? ROW_UNKNOWN_8
                   : ROW_UNKNOWN;
    case MAP_V3: case MAP_E3: case MAP_X8:
        return ROW_UNKNOWN_8;
    case MAP_XA:
        return ROW_UNKNOWN_32;
    case MAP_V2: case MAP_E2: case MAP_E5: case MAP_E6: case MAP_X9:
        return ROW_UNKNOWN;
    default:
        return 0;
    }
}

/* Among the forms of a byte, the first that matches; 0 if none. */
static unsigned choose_row(const struct insn *insn, unsigned row, unsigned mode, unsigned prefix)
{
    uint32_t key = (insn->modrm >> 3 & 7) | (insn->modrm & 7u) << KEY_RM_SHIFT |
                   (insn->modrm >= 0xc0 ? KEY_MOD3 : 0) | prefix << KEY_PREFIX_SHIFT |
                   (mode == 8 ? KEY_64 : 0) | (insn->rex & 8 ? KEY_W : 0) | (insn->vl ? KEY_L : 0);

    do {
        uint32_t select = opcode_rows[row].select;

        if (((key ^ select) & select >> 16) == 0)
            return row;
        row++;
    } while (row < ROW_COUNT && (opcode_rows[row].properties & P_ALT));
    return 0;
}

/* 16-bit addressing (SDM volume 2, table 2-1). */
static enum decode_status take_memory16(struct cursor *c, struct insn *insn)
{
    static const uint8_t bases[8] = {3, 3, 5, 5, 6, 7, 5, 3};
    static const uint8_t indexes[8] = {6,           7,           6,           7,
                                       INSN_NO_REG, INSN_NO_REG, INSN_NO_REG, INSN_NO_REG};
    unsigned mod = insn->modrm >> 6, rm = insn->modrm & 7;
    unsigned size = mod == 1 ? 1 : mod == 2 || rm == 6 ? 2 : 0;

    insn->base = bases[rm];
    insn->index = indexes[rm];
    if (mod == 0 && rm == 6)
        insn->base = INSN_NO_REG;
    else if (mod == 0)
        size = 0;
    if (!has(c, size))
        return out_of_bytes(c);
    if (size)
        insn->disp = size == 1 ? (int8_t)take(c, 1) : (int16_t)take(c, 2);
    insn->segment = insn->base == 5 ? SEG_SS : SEG_DS;
    return DECODE_OK;
}

/* 32- and 64-bit addressing (SDM volume 2, tables 2-2 and 2-3, and 2.2.1). */
static enum decode_status take_memory(struct cursor *c, unsigned mode, struct insn *insn)
{
    unsigned mod = insn->modrm >> 6, base = insn->modrm & 7, size = mod == 1 ? 1 : mod == 2 ? 4 : 0;
    bool has_base = true;

    if (base == 4) {
        if (!has(c, 1))
            return out_of_bytes(c);
        unsigned sib = (unsigned)take(c, 1);
        unsigned index = (sib >> 3 & 7) | (insn->rex & 2) << 2;

        insn->scale = (uint8_t)(sib >> 6);
        insn->index = index == 4 ? INSN_NO_REG : (uint8_t)index;
        base = sib & 7;
        has_base = base != 5 || mod != 0;
    } else if (base == 5 && mod == 0) {
        has_base = false;
        if (mode == 8)
            insn->base = INSN_RIP;
    }
    if (!has_base)
        size = 4;
    else
        insn->base = (uint8_t)(base | (insn->rex & 1) << 3);
    if (!has(c, size))
        return out_of_bytes(c);
    if (size)
        insn->disp = size == 1 ? (int8_t)take(c, 1) : (int32_t)take(c, 4);
    insn->segment = insn->base == 4 || insn->base == 5 ? SEG_SS : SEG_DS;
    return DECODE_OK;
}

/*
 * A vector register as index: there is a SIB byte, whose index 4 is a register too, and none of the
 * three registers may be another one (SDM volume 2, 2.3.12).
 */
static bool take_vector_index(struct insn *insn)
{
    unsigned low = insn->index == INSN_NO_REG ? 4u : insn->index;

    if (!insn->memory || (insn->modrm & 7) != 4 || insn->addrsize == 2)
        return false;
    insn->index = (uint8_t)low;
    return insn->reg != insn->vvvv && insn->reg != low && insn->vvvv != low;
}

/* VEX.W of a general register's size, also of VPCMPESTRx's, means nothing outside 64-bit code. */
static void drop_vex_w(struct insn *insn, const struct opcode_row *row)
{
    for (unsigned i = 0; i < 4; i++)
        if (operand_kinds[row->operand[i]].size == SIZE_Y)
            insn->rex &= (uint8_t)~8u;
    if (insn->map == MAP_V3 && (insn->opcode & 0xfe) == 0x60)
        insn->rex &= (uint8_t)~8u;
}

static unsigned imm_size(unsigned kind, const struct insn *insn)
{
    switch (kind) {
    case IMM_U8: case IMM_S8: return 1;
    case IMM_U16:             return 2;
    case IMM_U32:             return 4;
    case IMM_ENTER:           return 3;
    case IMM_SZ:              return insn->opsize == 2 ? 2 : 4;
    case IMM_V:               return insn->opsize;
    case IMM_MOFFS:           return insn->addrsize;
    case IMM_FAR:             return insn->opsize == 2 ? 4 : 6;
    default:                  return 0;
    }
}

static enum decode_status take_immediate(struct cursor *c, unsigned kind, struct insn *insn)
{
    unsigned size = imm_size(kind, insn);

    if (!has(c, size))
        return out_of_bytes(c);
    switch (kind) {
    case IMM_S8:
        insn->imm = (uint64_t)(int8_t)take(c, 1);
        break;
    case IMM_SZ:
        insn->imm = size == 2 ? (uint64_t)(int16_t)take(c, 2) : (uint64_t)(int32_t)take(c, 4);
        break;
    case IMM_ENTER:
        insn->imm = take(c, 2);
        insn->imm2 = (uint32_t)take(c, 1);
        break;
    case IMM_FAR:
        insn->imm = take(c, size - 2);
        insn->imm2 = (uint32_t)take(c, 2);
        break;
    default:
        insn->imm = take(c, size);
        break;
    }
    return DECODE_OK;
}

static void set_sizes(struct insn *insn, unsigned mode)
{
    bool opsize = insn->prefixes & INSN_OPSIZE;
    bool address = insn->prefixes & INSN_ADDRESS;

    if (mode == 8)
        insn->addrsize = address ? 4 : 8;
    else
        insn->addrsize = (mode == 2) != address ? 2 : 4;
    if (mode == 8 && (insn->rex & 8))
        insn->opsize = 8;
    else
        insn->opsize = (mode == 2) != opsize ? 2 : 4;
}

static enum decode_status take_modrm(struct cursor *c, struct insn *insn)
{
    if (!has(c, 1))
        return out_of_bytes(c);
    insn->modrm = (uint8_t)take(c, 1);
    insn->reg = (uint8_t)((insn->modrm >> 3 & 7) | (insn->rex & 4) << 1);
    insn->rm = (uint8_t)((insn->modrm & 7) | (insn->rex & 1) << 3);
    insn->memory = insn->modrm < 0xc0;
    return DECODE_OK;
}

/* VEX.vvvv must be all ones (here 0) in a form that has no operand there. */
static bool may_use_vvvv(const struct insn *insn, const struct opcode_row *row)
{
    return insn->map >= MAP_INDEXED || insn->op <= ROW_UNKNOWN_32 || (row->properties & P_VVVV);
}

static enum decode_status take_rest(struct cursor *c, unsigned mode, struct insn *insn,
                                    unsigned prefix)
{
    unsigned row = insn->map < MAP_INDEXED ? opcode_first[insn->map][insn->opcode] : 0;
    const struct opcode_row *r;
    enum decode_status status;

    if (row == 0)
        row = unknown_row(insn);
    r = &opcode_rows[row];
    insn->rm = (uint8_t)((insn->opcode & 7) | (insn->rex & 1) << 3);
    if ((r->properties & P_MODRM) && (status = take_modrm(c, insn)) != DECODE_OK)
        return status;
    if (r->select || (row + 1 < ROW_COUNT && (opcode_rows[row + 1].properties & P_ALT))) {
        unsigned chosen = row <= ROW_UNKNOWN_32 ? row : choose_row(insn, row, mode, prefix);

        if (chosen == 0 && (insn->map >= MAP_V1))
            chosen = unknown_row(insn);
        row = chosen;
        r = &opcode_rows[row];
    }
    insn->op = (uint16_t)row;
    if (row == 0 || (insn->vvvv && !may_use_vvvv(insn, r)))
        return DECODE_INVALID;
    if (mode != 8) {
        insn->vvvv &= 7;
        if (insn->map >= MAP_V1)
            drop_vex_w(insn, r);
    }
    if (mode == 8 && (r->properties & P_F64))
        insn->opsize = 8;
    if (mode == 8 && (r->properties & P_D64) && insn->opsize == 4)
        insn->opsize = 8;
    if (r->properties & P_NOMEM)
        insn->memory = 0;
    if (insn->memory) {
        status = insn->addrsize == 2 ? take_memory16(c, insn) : take_memory(c, mode, insn);
        if (status != DECODE_OK)
            return status;
    }
    if (insn->override)
        insn->segment = (uint8_t)(insn->override - 1);
    if ((r->properties & P_VSIB) && !take_vector_index(insn))
        return DECODE_INVALID;
    if (r->imm)
        return take_immediate(c, r->imm, insn);
    return DECODE_OK;
}

/*
 * LOCK is allowed with the instructions marked so and a memory destination only (SDM volume 2,
 * LOCK).
 */
static bool lock_allowed(const struct insn *insn)
{
    return insn->memory && (opcode_rows[insn->op].properties & P_LOCK);
}

enum decode_status decode(const uint8_t *bytes, size_t size, unsigned mode, struct insn *insn)
{
    struct cursor c = {.bytes = bytes, .end = size < INSN_MAX ? (unsigned)size : INSN_MAX};
    enum decode_status status;
    unsigned prefix;

    *insn = (struct insn){.base = INSN_NO_REG, .index = INSN_NO_REG, .segment = SEG_DS};
    if (!take_prefixes(&c, mode, insn)) {
        insn->length = (uint8_t)c.at;
        return out_of_bytes(&c);
    }
    status = take_opcode(&c, mode, insn, &prefix);
    if (status == DECODE_OK) {
        set_sizes(insn, mode);
        status = take_rest(&c, mode, insn, prefix);
    }
    insn->length = (uint8_t)c.at;
    if (status == DECODE_OK && (insn->prefixes & INSN_LOCK) && !lock_allowed(insn))
        return DECODE_INVALID;
    return status;
}
