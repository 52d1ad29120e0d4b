/* SPDX-License-Identifier: MIT */
/*
 * The user registers of an EC, in the order that interrupt entry pushes them. It is the first member of struct ec, and TSS.RSP0 points to its
 * end, so that the processor and the entry code save straight into the EC that is interrupted. 16-byte aligned end: the processor aligns RSP0
 * before it pushes, so a struct ec is aligned to 64 bytes and REGS_SIZE is a multiple of 16.
 */
#ifndef KERNEL_REGS_H
#define KERNEL_REGS_H

#include "kernel/asm.h"

#include <stddef.h>
#include <stdint.h>

struct regs {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
    uint64_t rdi, rsi, rbp, rbx, rdx, rcx, rax;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};
_Static_assert(sizeof(struct regs) == REGS_SIZE, "the order is that of asm.h");

/* RFLAGS bits; a user EC always runs with USER_RFLAGS set and may choose those of USER_RFLAGS_MASK. */
#define RFLAGS_TF        0x100u
#define USER_RFLAGS      0x202u
#define USER_RFLAGS_MASK 0x250dd5u // CF PF AF ZF SF TF DF OF RF AC ID

#endif
