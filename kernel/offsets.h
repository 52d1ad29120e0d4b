/* SPDX-License-Identifier: MIT */
/* Offsets of struct ec that assembly uses; kernel/ec.h checks them. */
#ifndef KERNEL_OFFSETS_H
#define KERNEL_OFFSETS_H

#define EC_REGS   64
#define EC_RAX    (EC_REGS + 0 * 8)
#define EC_RCX    (EC_REGS + 1 * 8)
#define EC_RDX    (EC_REGS + 2 * 8)
#define EC_RBX    (EC_REGS + 3 * 8)
#define EC_RSP    (EC_REGS + 4 * 8)
#define EC_RBP    (EC_REGS + 5 * 8)
#define EC_RSI    (EC_REGS + 6 * 8)
#define EC_RDI    (EC_REGS + 7 * 8)
#define EC_R8     (EC_REGS + 8 * 8)
#define EC_R9     (EC_REGS + 9 * 8)
#define EC_R10    (EC_REGS + 10 * 8)
#define EC_R11    (EC_REGS + 11 * 8)
#define EC_R12    (EC_REGS + 12 * 8)
#define EC_R13    (EC_REGS + 13 * 8)
#define EC_R14    (EC_REGS + 14 * 8)
#define EC_R15    (EC_REGS + 15 * 8)
#define EC_RIP    (EC_REGS + 16 * 8)
#define EC_RFLAGS (EC_REGS + 17 * 8)

#endif
