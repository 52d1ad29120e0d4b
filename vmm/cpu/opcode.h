/* SPDX-License-Identifier: MIT */
/*
 * The opcode table: what opcodes.def says of each instruction form, in a shape for look-ups.
 *
 * A row is one form: its place (map and byte), what selects it among the forms of that byte, name,
 * handler of the interpreter, operands and properties. Rows of one byte are neighbours;
 * opcode_first[] gives the first. Row 0 is no instruction.
 */
#ifndef VMM_CPU_OPCODE_H
#define VMM_CPU_OPCODE_H

#include <stdbool.h>
#include <stdint.h>

enum opcode_map {
    MAP_1, MAP_0F, MAP_38, MAP_3A,          // legacy
    MAP_V1, MAP_V2, MAP_V3,                 // VEX maps 0F, 0F38, 0F3A
    MAP_INDEXED,                            // maps from here on have lengths only
    MAP_X8 = MAP_INDEXED, MAP_X9, MAP_XA,   // XOP
    MAP_E1, MAP_E2, MAP_E3, MAP_E5, MAP_E6, // EVEX
    MAP_COUNT
};

/*
 * Selectors. A key is made from an instruction: modrm.reg 2:0, modrm.rm 5:3, mod is 3 6, mandatory
 * prefix 8:7 (none, 66, F3, F2), 64-bit code 9, W 10, vector length is not 128 11. A selector
 * holds the values wanted in its low half and which bits count in its high half.
 */
#define KEY_RM_SHIFT   3u
#define KEY_MOD3       0x040u
#define KEY_PREFIX_SHIFT 7u
#define KEY_64         0x200u
#define KEY_W          0x400u
#define KEY_L          0x800u
#define SELECT(mask, value) ((uint32_t)(mask) << 16 | (value))
#define S_USES_MODRM   SELECT(0x7f, 0)

#define S_  0u
#define SR0 SELECT(0x07, 0)
#define SR1 SELECT(0x07, 1)
#define SR2 SELECT(0x07, 2)
#define SR3 SELECT(0x07, 3)
#define SR4 SELECT(0x07, 4)
#define SR5 SELECT(0x07, 5)
#define SR6 SELECT(0x07, 6)
#define SR7 SELECT(0x07, 7)
#define SE0 SELECT(0x38, 0x00)
#define SE1 SELECT(0x38, 0x08)
#define SE2 SELECT(0x38, 0x10)
#define SE3 SELECT(0x38, 0x18)
#define SE4 SELECT(0x38, 0x20)
#define SE5 SELECT(0x38, 0x28)
#define SE6 SELECT(0x38, 0x30)
#define SE7 SELECT(0x38, 0x38)
#define SM  SELECT(KEY_MOD3, 0)        // memory form
#define SX  SELECT(KEY_MOD3, KEY_MOD3) // register form
#define SNP SELECT(0x180, 0x000)
#define S66 SELECT(0x180, 0x080)
#define SF3 SELECT(0x180, 0x100)
#define SF2 SELECT(0x180, 0x180)
#define S64 SELECT(KEY_64, KEY_64)
#define S32 SELECT(KEY_64, 0)          // not in 64-bit code
#define SW0 SELECT(KEY_W, 0)
#define SW1 SELECT(KEY_W, KEY_W)
#define SL0 SELECT(KEY_L, 0)
#define SL1 SELECT(KEY_L, KEY_L)

/* Properties. */
#define P_      0x0000u
#define P_LOCK  0x0001u // takes LOCK with a memory destination
#define P_D64   0x0002u // operand size 64 unless 66, in 64-bit code
#define P_F64   0x0004u // operand size 64 in 64-bit code
#define P_NOMEM 0x0008u // mod is not looked at: register form
#define P_ALT   0x0100u // set for all but the first row of a byte
#define P_MODRM 0x0200u // set where the form has a modrm byte
#define P_VVVV  0x0400u // set where the form uses VEX.vvvv
#define P_VSIB  0x0800u // set where the index is a vector register

enum operand_class {
    OC_NONE,
    OC_RM,
    OC_REG,
    OC_VVVV,
    OC_OPREG,
    OC_MEM,
    OC_IMM,
    OC_ONE,
    OC_REL,
    OC_FAR,
    OC_MOFFS,
    OC_FIXED0,
    OC_FIXED1,
    OC_FIXED2,
    OC_FIXSEG,
    OC_SEG,
    OC_CR,
    OC_DR,
    OC_SRC,
    OC_DST,
    OC_VREG,
    OC_VRM,
    OC_VVEC,
    OC_MREG,
    OC_MRM,
    OC_VSIB,
    OC_KREG,
    OC_KRM,
    OC_KVVV
};

#define SIZE_V 0x81u
#define SIZE_Z 0x82u
#define SIZE_Y 0x83u
#define SIZE_A 0x84u
#define SIZE_X 0x85u
#define SIZE_P 0x86u
#define SIZE_H 0x87u
#define SIZE_F 0x88u
#define SIZE_E 0x89u

enum opcode_imm {
    IMM_NONE, IMM_U8, IMM_S8, IMM_U16, IMM_SZ, IMM_V, IMM_MOFFS, IMM_FAR, IMM_ENTER, IMM_U32
};

enum operand {
#define OPERAND(name, class, size, imm, modrm) OPERAND_##name,
#include "vmm/cpu/operands.def"
#undef OPERAND
    OPERAND_COUNT
};

struct operand_kind {
    uint8_t class; // enum operand_class
    uint8_t size;  // bytes or SIZE_*
};

struct opcode_row {
    uint32_t select;
    uint16_t properties;
    uint8_t  imm;        // enum opcode_imm
    uint8_t  operand[4]; // enum operand
    uint8_t  map;
    uint8_t  byte;
};

#define ROW_PASTE_(a, b) a##b
#define ROW_PASTE(a, b)  ROW_PASTE_(a, b)

enum opcode_index {
#define OP(map, byte, ...) ROW_##map##_##byte,
#define OR(map, byte, ...) ROW_PASTE(ROW_ALTERNATIVE_, __LINE__),
#include "vmm/cpu/opcodes.def"
#undef OP
#undef OR
    ROW_COUNT
};

extern const struct opcode_row opcode_rows[ROW_COUNT];
extern const uint16_t opcode_first[MAP_INDEXED][256];
extern const struct operand_kind operand_kinds[OPERAND_COUNT];

/* The mnemonic, as manuals write it, in lower case. */
const char *opcode_name(unsigned row);

#endif
