/* SPDX-License-Identifier: MIT */
/*
 * Disassembler: a decoded instruction as text in Intel's syntax, by the opcode table. For reports
 * and tests; pure functions.
 */
#ifndef VMM_CPU_DISASM_H
#define VMM_CPU_DISASM_H

#include "vmm/cpu/decode.h"

#include <stddef.h>
#include <stdint.h>

/*
 * Writes the text of the instruction at `rip` (for branch targets and RIP-relative operands), code
 * size `mode`, cut at size, always terminated; size is not 0. Registers of operands that only
 * vector instructions have are named by their number and length.
 */
void disasm(const struct insn *insn, unsigned mode, uint64_t rip, char *text, size_t size);

/* The mnemonic alone; some depend on operand or address size (cbw, cwde, cdqe). */
const char *disasm_name(const struct insn *insn);

#endif
