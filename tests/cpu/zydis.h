/* SPDX-License-Identifier: MIT */
/* What Zydis says of an instruction's operands against what decode() and the table say. */
#ifndef TESTS_CPU_ZYDIS_H
#define TESTS_CPU_ZYDIS_H

#include "vmm/cpu/decode.h"

#include <Zydis/Zydis.h>

/*
 * NULL, or what differs: memory's base, index, scale, displacement, segment and address size; each
 * general register's number and size; immediates; branch distances. Both have decoded the same
 * bytes to the same length. Operands without a row's word about them are not judged.
 */
const char *zydis_difference(const struct insn *ours, unsigned mode,
                             const ZydisDecodedInstruction *theirs,
                             const ZydisDecodedOperand *operands);

#endif
