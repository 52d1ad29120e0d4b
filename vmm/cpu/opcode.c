/* SPDX-License-Identifier: MIT */
/* The opcode table's arrays, made from opcodes.def and operands.def. */
#include "vmm/cpu/opcode.h"

const struct operand_kind operand_kinds[OPERAND_COUNT] = {
#define OPERAND(name, class, size, imm, modrm) {OC_##class, SIZE_OF_##size},
#define SIZE_OF_0  0
#define SIZE_OF_1  1
#define SIZE_OF_2  2
#define SIZE_OF_4  4
#define SIZE_OF_8  8
#define SIZE_OF_10 10
#define SIZE_OF_16 16
#define SIZE_OF_V  SIZE_V
#define SIZE_OF_Z  SIZE_Z
#define SIZE_OF_Y  SIZE_Y
#define SIZE_OF_A  SIZE_A
#define SIZE_OF_X  SIZE_X
#define SIZE_OF_P  SIZE_P
#define SIZE_OF_H  SIZE_H
#define SIZE_OF_F  SIZE_F
#define SIZE_OF_E  SIZE_E
#include "vmm/cpu/operands.def"
#undef OPERAND
};

/* Per operand: its immediate, and whether it needs a modrm byte, VEX.vvvv or VSIB. */
enum {
#define OPERAND(name, class, size, imm, modrm)                                    \
    OPERAND_IMM_##name = IMM_##imm, OPERAND_MODRM_##name = modrm,                 \
    OPERAND_VVVV_##name = OC_##class == OC_VVVV || OC_##class == OC_VVEC || OC_##class == OC_KVVV, \
    OPERAND_VSIB_##name = OC_##class == OC_VSIB,
#include "vmm/cpu/operands.def"
#undef OPERAND
};

#define ROW_MODRM(select, a, b, c, d)                                                          \
    (((select)&S_USES_MODRM) || OPERAND_MODRM_##a || OPERAND_MODRM_##b || OPERAND_MODRM_##c || \
             OPERAND_MODRM_##d                                                                 \
         ? P_MODRM                                                                             \
         : 0u)
#define ROW_VVVV(a, b, c) (OPERAND_VVVV_##a || OPERAND_VVVV_##b || OPERAND_VVVV_##c ? P_VVVV : 0u)
/* VSIB is the second operand where there is one. */
#define ROW(map, byte, select, a, b, c, d, properties, alternative) \
    {select, (properties) | ROW_MODRM(select, a, b, c, d) | ROW_VVVV(a, b, c) | \
     (OPERAND_VSIB_##b ? P_VSIB : 0u) | (alternative), \
     OPERAND_IMM_##a + OPERAND_IMM_##b + OPERAND_IMM_##c + OPERAND_IMM_##d, \
     {OPERAND_##a, OPERAND_##b, OPERAND_##c, OPERAND_##d}, MAP_##map, 0x##byte},

const struct opcode_row opcode_rows[ROW_COUNT] = {
#define OP(map, byte, select, name, handler, a, b, c, d, properties) \
    ROW(map, byte, select, a, b, c, d, properties, 0u)
#define OR(map, byte, select, name, handler, a, b, c, d, properties) \
    ROW(map, byte, select, a, b, c, d, properties, P_ALT)
#include "vmm/cpu/opcodes.def"
#undef OP
#undef OR
};

const uint16_t opcode_first[MAP_INDEXED][256] = {
#define OP(map, byte, ...) [MAP_##map][0x##byte] = ROW_##map##_##byte,
#define OR(...)
#include "vmm/cpu/opcodes.def"
#undef OP
#undef OR
};

const char *opcode_name(unsigned row)
{
    static const char *const names[ROW_COUNT] = {
#define OP(map, byte, select, name, ...) name,
#define OR(map, byte, select, name, ...) name,
#include "vmm/cpu/opcodes.def"
#undef OP
#undef OR
    };
    return names[row < ROW_COUNT ? row : 0];
}
