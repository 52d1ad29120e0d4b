/* SPDX-License-Identifier: MIT */
/*
 * The way into a local EC: ENTRY_STUB(name, handler) defines the code address `name` for portals. A call enters there with RDI =
 * portal id and RSI = message descriptor on the EC's stack; the handler's result is the reply. The initial stack pointer
 * of the EC must be 16-byte aligned.
 */
#ifndef FRAMEWORK_BASE_ENTRY_H
#define FRAMEWORK_BASE_ENTRY_H

#include "abi/hypercall.h"

#include <stdint.h>

struct entry_reply {
    uint64_t message; // descriptor
    uint64_t flags;   // 0 or ABI_REPLY_STOP
};

_Static_assert(ABI_IPC_REPLY == 1, "the number in the stub");

/* Should the kernel refuse the descriptor, an empty reply answers instead: a caller is never left waiting. */
#define ENTRY_STUB(name, handler)                                       \
    void name(void);                                                    \
    __attribute__((used)) struct entry_reply handler(uint64_t, uint64_t); \
    __asm__(".pushsection .text." #name ", \"ax\", @progbits\n"        \
            ".globl " #name "\n"                                        \
            ".balign 16\n"                                              \
            #name ":\n"                                                 \
            "    call " #handler "\n"                                   \
            "    movq %rax, %rsi\n"                                     \
            "    movl %edx, %edi\n"                                     \
            "    shll $8, %edi\n"                                       \
            "    orl $1, %edi\n"                                        \
            "    syscall\n"                                             \
            "    xorl %esi, %esi\n"                                     \
            "    movl $1, %edi\n"                                       \
            "    syscall\n"                                             \
            "    ud2\n"                                                 \
            ".popsection\n")

#endif
