/* SPDX-License-Identifier: MIT */
/* What Zydis says of an instruction's operands against what decode() and the table say. */
#include "zydis.h"

#define SEGMENT_NONE 0xffu

/* The number of a register as encodings have it; AH to BH 4 to 7. */
static unsigned number(ZydisRegister reg)
{
    if (reg == ZYDIS_REGISTER_NONE)
        return INSN_NO_REG;
    if (reg == ZYDIS_REGISTER_RIP || reg == ZYDIS_REGISTER_EIP)
        return INSN_RIP;
    if (reg >= ZYDIS_REGISTER_SPL && reg <= ZYDIS_REGISTER_DIL)
        return (unsigned)(reg - ZYDIS_REGISTER_SPL) + 4;
    if (reg >= ZYDIS_REGISTER_R8B && reg <= ZYDIS_REGISTER_R15B)
        return (unsigned)(reg - ZYDIS_REGISTER_R8B) + 8;
    return (unsigned)ZydisRegisterGetId(reg);
}

static unsigned segment(ZydisRegister reg)
{
    switch (reg) {
    case ZYDIS_REGISTER_ES: return SEG_ES;
    case ZYDIS_REGISTER_CS: return SEG_CS;
    case ZYDIS_REGISTER_SS: return SEG_SS;
    case ZYDIS_REGISTER_DS: return SEG_DS;
    case ZYDIS_REGISTER_FS: return SEG_FS;
    case ZYDIS_REGISTER_GS: return SEG_GS;
    default: return SEGMENT_NONE;
    }
}

static unsigned scale_of(unsigned scale)
{
    return scale == 8 ? 3 : scale == 4 ? 2 : scale == 2 ? 1 : 0;
}

static const char *memory_difference(const struct insn *ours, const ZydisDecodedInstruction *theirs,
                                     const ZydisDecodedOperand *o)
{
    if (!ours->memory)
        return "a memory operand";
    if (ours->addrsize * 8u != theirs->address_width)
        return "address size";
    /* Zydis 4.0 takes R13D for a base where SIB says that there is none (SDM volume 2, table 2-3).
     */
    bool none =
        ours->addrsize == 4 && ours->base == INSN_NO_REG && o->mem.base == ZYDIS_REGISTER_R13D;
    if (!none && ours->base != number(o->mem.base))
        return "base";
    /* Of EVEX's vector indexes decode() does not know the fifth bit, nor that 4 is one. */
    bool gather = o->mem.type == ZYDIS_MEMOP_TYPE_VSIB &&
                  theirs->encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX;
    if (!gather && ours->index != number(o->mem.index))
        return "index";
    if (ours->index != INSN_NO_REG && ours->scale != scale_of(o->mem.scale) && ours->addrsize != 2)
        return "scale";
    /* With EVEX a byte is scaled by the operand's size; the table has lengths only there. */
    if (!none && theirs->encoding != ZYDIS_INSTRUCTION_ENCODING_EVEX &&
        (ours->addrsize == 2 ? (uint16_t)ours->disp != (uint16_t)o->mem.disp.value
                             : ours->disp != o->mem.disp.value))
        return "displacement";
    /* LEA, the NOPs and the like have no segment; Zydis takes 3E before an indirect branch for
     * NOTRACK of CET, which we do not offer. */
    bool notrack = ours->map == MAP_1 && ours->opcode == 0xff && ours->override == SEG_DS + 1;
    if (o->mem.type == ZYDIS_MEMOP_TYPE_MEM && !notrack && ours->segment != segment(o->mem.segment))
        return "segment";
    return NULL;
}

/* Size in bytes by the table; 0: not its affair. */
static unsigned size_of(const struct insn *insn, unsigned mode, unsigned size)
{
    switch (size) {
    case SIZE_V: return insn->opsize;
    case SIZE_Z: return insn->opsize == 8 ? 4 : insn->opsize;
    case SIZE_Y: return insn->rex & 8 && mode == 8 ? 8 : 4;
    default: return size > 8 ? 0 : size;
    }
}

/*
 * Where Zydis names a register by another width than the table does and none is read or written but
 * by both: the selectors of LAR and LSL, what PINSRB and PINSRW take a part of (exec_invpcid()
 * takes INVPCID's type in the mode's width itself), and PEXTRB, PEXTRW, EXTRACTPS, PMOVMSKB,
 * VMOVMSKPD and CRC32 zero-extend, MOVSXD's source with a 16-bit destination. UD0, UD1, VMREAD,
 * VMWRITE, INVEPT, INVVPID, MOVDIR64B, ENQCMD, ENQCMDS, ENCODEKEY128, ENCODEKEY256, KCONCATL and
 * KCONCATH are not executed, nor is anything of the reserved NOPs, some of which later extensions
 * took.
 */
static bool other_width(const struct insn *ours, ZydisMnemonic mnemonic)
{
    static const ZydisMnemonic some[] = {
        ZYDIS_MNEMONIC_LAR,          ZYDIS_MNEMONIC_LSL,          ZYDIS_MNEMONIC_PINSRW,
        ZYDIS_MNEMONIC_PEXTRW,       ZYDIS_MNEMONIC_VPINSRW,      ZYDIS_MNEMONIC_VPEXTRW,
        ZYDIS_MNEMONIC_UD0,          ZYDIS_MNEMONIC_UD1,          ZYDIS_MNEMONIC_VMREAD,
        ZYDIS_MNEMONIC_VMWRITE,      ZYDIS_MNEMONIC_PEXTRB,       ZYDIS_MNEMONIC_VPEXTRB,
        ZYDIS_MNEMONIC_MOVSXD,       ZYDIS_MNEMONIC_ENQCMD,       ZYDIS_MNEMONIC_ENQCMDS,
        ZYDIS_MNEMONIC_MOVDIR64B,    ZYDIS_MNEMONIC_PINSRB,       ZYDIS_MNEMONIC_VPINSRB,
        ZYDIS_MNEMONIC_PMOVMSKB,     ZYDIS_MNEMONIC_VPMOVMSKB,    ZYDIS_MNEMONIC_INVEPT,
        ZYDIS_MNEMONIC_INVVPID,      ZYDIS_MNEMONIC_INVPCID,      ZYDIS_MNEMONIC_EXTRACTPS,
        ZYDIS_MNEMONIC_VEXTRACTPS,   ZYDIS_MNEMONIC_VMOVMSKPD,    ZYDIS_MNEMONIC_VMOVMSKPS,
        ZYDIS_MNEMONIC_KCONCATL,     ZYDIS_MNEMONIC_KCONCATH,     ZYDIS_MNEMONIC_CRC32,
        ZYDIS_MNEMONIC_ENCODEKEY128, ZYDIS_MNEMONIC_ENCODEKEY256,
    };

    for (unsigned i = 0; i < sizeof some / sizeof some[0]; i++)
        if (some[i] == mnemonic)
            return true;
    return ours->map == MAP_0F && (ours->opcode & 0xf8) == 0x18;
}

/* Register operands of the row against those of Zydis that have the same encoding. */
static const char *register_difference(const struct insn *ours, unsigned mode, unsigned class,
                                       unsigned size, ZydisMnemonic mnemonic,
                                       const ZydisDecodedOperand *o)
{
    unsigned want = class == OC_RM || class == OC_VRM || class == OC_MRM || class == OC_OPREG
                        ? ours->rm
                    : class == OC_VVVV || class == OC_VVEC ? ours->vvvv
                                                           : ours->reg;

    bool vector = class == OC_VREG || class == OC_VRM || class == OC_VVEC,
         mmx = class == OC_MREG || class == OC_MRM;
    if (mmx)
        want &= 7;
    if (number(o->reg.value) != want)
        return "register";
    ZydisRegisterClass kind = ZydisRegisterGetClass(o->reg.value);
    if (mmx != (kind == ZYDIS_REGCLASS_MMX))
        return "class of register";
    if (vector != (kind == ZYDIS_REGCLASS_XMM || kind == ZYDIS_REGCLASS_YMM))
        return "class of register";
    if (!vector && !mmx && !other_width(ours, mnemonic) && size_of(ours, mode, size) &&
        size_of(ours, mode, size) * 8 != o->size)
        return "size of register";
    return NULL;
}

/* Bytes of a vector or memory operand of a VEX form; 0: not its affair. */
static unsigned vector_size(const struct insn *insn, unsigned size)
{
    unsigned length = insn->vl ? 32 : 16;

    switch (size) {
    case SIZE_X: return length;
    case SIZE_H: return length / 2;
    case SIZE_F: return length / 4;
    case SIZE_E: return length / 8;
    default: return size >= SIZE_V ? 0 : size;
    }
}

static const char *vector_difference(const struct insn *ours, struct operand_kind kind,
                                     const ZydisDecodedOperand *o)
{
    bool memory = kind.class == OC_VRM || kind.class == OC_MEM;
    unsigned size = vector_size(ours, kind.size);

    if (ours->map < MAP_V1 || ours->map > MAP_V3 || !size || !(memory || kind.class == OC_VREG ||
                                                               kind.class == OC_VVEC))
        return NULL;
    if (o->type == ZYDIS_OPERAND_TYPE_REGISTER)
        return (size == 32) == (ZydisRegisterGetClass(o->reg.value) == ZYDIS_REGCLASS_YMM)
                   ? NULL : "length of register";
    return size * 8 == o->size ? NULL : "size of operand";
}

static bool same_encoding(unsigned class, ZydisOperandEncoding encoding)
{
    switch (class) {
    case OC_RM:
    case OC_VRM:
    case OC_MRM: return encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM;
    case OC_REG:
    case OC_VREG:
    case OC_MREG: return encoding == ZYDIS_OPERAND_ENCODING_MODRM_REG;
    case OC_OPREG: return encoding == ZYDIS_OPERAND_ENCODING_OPCODE;
    case OC_VVVV:
    case OC_VVEC: return encoding == ZYDIS_OPERAND_ENCODING_NDSNDD;
    default: return false;
    }
}

static const char *immediate_difference(const struct insn *ours, unsigned class,
                                        const ZydisDecodedOperand *o)
{
    uint64_t theirs = o->imm.value.u;
    unsigned bytes = o->size / 8u;
    uint64_t mask = bytes >= 8 || bytes == 0 ? ~0ull : (1ull << (8 * bytes)) - 1;

    if (class == OC_REL)
        return ours->imm == theirs ? NULL : "distance";
    return (ours->imm & mask) == (theirs & mask) ? NULL : "immediate";
}

const char *zydis_difference(const struct insn *ours, unsigned mode,
                             const ZydisDecodedInstruction *theirs,
                             const ZydisDecodedOperand *operands)
{
    const struct opcode_row *row = &opcode_rows[ours->op];
    bool immediate = false;

    if (theirs->encoding == ZYDIS_INSTRUCTION_ENCODING_MVEX)
        return NULL; // of Knights Corner only
    for (unsigned i = 0; i < theirs->operand_count; i++) {
        const ZydisDecodedOperand *o = &operands[i];
        const char *difference = NULL;
        if (o->type == ZYDIS_OPERAND_TYPE_MEMORY && o->encoding == ZYDIS_OPERAND_ENCODING_MODRM_RM)
            difference = memory_difference(ours, theirs, o);
        for (unsigned k = 0; k < 4 && !difference && ours->map < MAP_INDEXED; k++) {
            struct operand_kind kind = operand_kinds[row->operand[k]];
            if (o->type == ZYDIS_OPERAND_TYPE_MEMORY ? kind.class == OC_VRM || kind.class == OC_MEM
                                                     : same_encoding(kind.class, o->encoding))
                difference = vector_difference(ours, kind, o);
            if (difference)
                break;
            if (o->type == ZYDIS_OPERAND_TYPE_REGISTER && same_encoding(kind.class, o->encoding)) {
                difference =
                    register_difference(ours, mode, kind.class, kind.size, theirs->mnemonic, o);
            } else if (o->type == ZYDIS_OPERAND_TYPE_IMMEDIATE &&
                       o->visibility == ZYDIS_OPERAND_VISIBILITY_EXPLICIT && !immediate &&
                       (kind.class == OC_IMM || kind.class == OC_REL)) {
                immediate = true;                  // ENTER's second has a field of its own
                if (row->operand[k] != OPERAND_Lx) // whose halves are two operands to Zydis
                    difference = immediate_difference(ours, kind.class, o);
            }
        }
        if (difference)
            return difference;
    }
    return NULL;
}
