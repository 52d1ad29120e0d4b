/* SPDX-License-Identifier: MIT */
/*
 * Inside the recompiler: what an instruction to be copied is made of, from the opcode table's row and
 * its bytes, and which of its operands can stay where the guest's registers are.
 */
#ifndef VMM_ENGINES_RECOMPILER_FORM_H
#define VMM_ENGINES_RECOMPILER_FORM_H

#include "vmm/engines/recompiler/translate.h"

struct form {
    struct op op;
    int reg_n, rm_n, vvvv_n; // operands in general registers by modrm.reg, modrm.rm, VEX.vvvv
    unsigned reg, rm;        // guest registers, if so; else as encoded
    unsigned vvvv;
    bool rm_is_gpr;
    unsigned imm_size;
};

struct form form_of(const struct unit *u);
bool form_is_op(const struct unit *u, unsigned map, unsigned byte);
/* The operand that has this class, or -1. */
int form_operand(const struct unit *u, unsigned class);
/* Is operand n, in register `reg`, one of AH, CH, DH, BH? */
bool form_is_high(const struct unit *u, int n, unsigned reg);
/*
 * Forms whose register operand in memory would mean something else, or be slow: what is stored in
 * parts is not forwarded to a load of the whole.
 */
bool form_wants_register(const struct unit *u, const struct form *f);
/* XCHG, XADD write both operands. */
bool form_exchanges(const struct unit *u);
/* The destination is written whole, whatever it was: MOV, MOVZX, MOVSX, IMUL by an immediate, VEX. */
bool form_only_writes(const struct unit *u);

#endif
