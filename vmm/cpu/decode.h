/* SPDX-License-Identifier: MIT */
/*
 * Instruction decoder: bytes to struct insn, by the table of opcodes.def (Intel SDM volume 2,
 * chapter 2 and appendix A; AMD APM volume 3, chapter 1).
 *
 * decode() is a pure function of bytes and code size: no guest state, no features. It knows the
 * length of every encoding of the legacy, VEX, EVEX and XOP maps; an instruction of a map without a
 * row for it is `unknown` (row 0 of its map) and only has a length. At most 15 bytes are looked at.
 */
#ifndef VMM_CPU_DECODE_H
#define VMM_CPU_DECODE_H

#include "vmm/cpu/opcode.h"

#include <stddef.h>
#include <stdint.h>

#define INSN_MAX 15u

enum decode_status {
    DECODE_OK = 0,
    DECODE_SHORT,    // the instruction goes on after `size` bytes (fewer than 15 were given)
    DECODE_LONG,     // more than 15 bytes: #GP
    DECODE_INVALID,  // no such encoding: #UD; `length` covers what was looked at
};

/* Prefixes seen. */
#define INSN_LOCK    0x01u
#define INSN_REP     0x02u // F3
#define INSN_REPNE   0x04u // F2
#define INSN_OPSIZE  0x08u // 66
#define INSN_ADDRESS 0x10u // 67
#define INSN_REX     0x20u

/* Segment registers by encoding; `segment` of an instruction is the one its memory operand uses. */
enum insn_segment { SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS };

#define INSN_NO_REG 0xffu
#define INSN_RIP    0xfeu // base: the next instruction's address

struct insn {
    uint16_t op;        // row of opcodes.def, index of opcode_rows[]
    uint8_t  length;
    uint8_t  prefixes;
    uint8_t  map;       // enum opcode_map
    uint8_t  opcode;
    uint8_t  rex;       // W R X B in bits 3:0, of REX, VEX, EVEX or XOP
    uint8_t  opsize;    // operand size: 2, 4, 8
    uint8_t  addrsize;  // address size: 2, 4, 8
    uint8_t  modrm;
    uint8_t  reg;       // modrm.reg with REX.R
    uint8_t  rm;        // modrm.rm with REX.B; low bits of the opcode with REX.B if it has no modrm
    uint8_t  memory;    // 1: rm is memory
    uint8_t  base;      // register, INSN_RIP or INSN_NO_REG
    uint8_t  index;     // register or INSN_NO_REG
    uint8_t  scale;     // 0 to 3
    uint8_t  segment;   // enum insn_segment, default applied
    uint8_t  override;  // the override prefix's segment + 1, 0: none
    uint8_t  vvvv;      // VEX: not inverted
    uint8_t  vl;        // VEX: L, EVEX: L'L
    int32_t  disp;
    uint32_t imm2;      // ENTER's level, far pointer's selector
    uint64_t imm;       // sign-extended where the instruction does
};

/* size is the number of bytes that are there; mode the code size 2, 4 or 8. */
enum decode_status decode(const uint8_t *bytes, size_t size, unsigned mode, struct insn *insn)
    __attribute__((warn_unused_result));

#endif
