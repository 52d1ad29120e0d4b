/* SPDX-License-Identifier: MIT */
/*
 * Flags that the manuals leave undefined, as this processor leaves them: what the interpreter executes and
 * what translated code does with the same instruction is then the same, wherever a guest shows such a flag (PUSHF,
 * SYSCALL, the frame of an exception).
 */
#ifndef VMM_CPU_ALU_HOST_H
#define VMM_CPU_ALU_HOST_H

#include "vmm/cpu/control.h"

#include <stdint.h>

/* OF of a shift or rotation of a by count; bit 0 of flags is the carry that goes in. */
#define ALU_HOST_SHIFT(name)                                                                        \
    static inline uint64_t alu_host_##name(uint64_t a, unsigned count, unsigned size, uint64_t flags) \
    {                                                                                               \
        uint8_t of = flags & RFLAGS_CF;                                                             \
                                                                                                    \
        switch (size) {                                                                             \
        case 1: ALU_HOST_ONE(#name "b %%cl, %b0"); break;                                           \
        case 2: ALU_HOST_ONE(#name "w %%cl, %w0"); break;                                           \
        case 4: ALU_HOST_ONE(#name "l %%cl, %k0"); break;                                           \
        default: ALU_HOST_ONE(#name "q %%cl, %q0"); break;                                          \
        }                                                                                           \
        return of ? RFLAGS_OF : 0;                                                                  \
    }
#define ALU_HOST_ONE(code) \
    __asm__("shrb %1\n\t" code "\n\tseto %1" : "+q"(a), "+q"(of) : "c"(count) : "cc")

ALU_HOST_SHIFT(rol)
ALU_HOST_SHIFT(ror)
ALU_HOST_SHIFT(rcl)
ALU_HOST_SHIFT(rcr)
ALU_HOST_SHIFT(shl)

/* The same of a double shift. */
#define ALU_HOST_DOUBLE(name)                                                                         \
    static inline uint64_t alu_host_##name(uint64_t a, uint64_t b, unsigned count, unsigned size)     \
    {                                                                                                 \
        uint8_t of;                                                                                   \
                                                                                                      \
        switch (size) {                                                                               \
        case 2: ALU_HOST_TWO(#name "w %%cl, %w2, %w0"); break;                                        \
        case 4: ALU_HOST_TWO(#name "l %%cl, %k2, %k0"); break;                                        \
        default: ALU_HOST_TWO(#name "q %%cl, %q2, %q0"); break;                                       \
        }                                                                                             \
        return of ? RFLAGS_OF : 0;                                                                    \
    }
#define ALU_HOST_TWO(code) \
    __asm__(code "\n\tseto %1" : "+r"(a), "=q"(of) : "r"(b), "c"(count) : "cc")

ALU_HOST_DOUBLE(shld)
ALU_HOST_DOUBLE(shrd)

/*
 * All status flags behind a search for bits in a, `flags` before it. The processor's own instruction of
 * that encoding: one without TZCNT takes it for BSF.
 */
#define ALU_HOST_SEARCH(name)                                                                        \
    static inline uint64_t alu_host_##name(uint64_t a, unsigned size, uint64_t flags)                \
    {                                                                                                \
        uint32_t ax = (uint32_t)((flags & 0xd5) << 8 | (flags >> 11 & 1));                           \
                                                                                                     \
        switch (size) {                                                                              \
        case 2: ALU_HOST_FIND(#name "w %w1, %w1"); break;                                            \
        case 4: ALU_HOST_FIND(#name "l %k1, %k1"); break;                                            \
        default: ALU_HOST_FIND(#name "q %q1, %q1"); break;                                           \
        }                                                                                            \
        return (ax >> 8 & 0xd5) | (ax & 1 ? RFLAGS_OF : 0);                                          \
    }
/* 7Fh + 1 overflows; SAHF leaves OF. */
#define ALU_HOST_FIND(code) \
    __asm__("addb $0x7f, %%al\n\tsahf\n\t" code "\n\tlahf\n\tseto %%al" : "+a"(ax), "+r"(a) : : "cc")

ALU_HOST_SEARCH(bsf)
ALU_HOST_SEARCH(bsr)
ALU_HOST_SEARCH(tzcnt)
ALU_HOST_SEARCH(lzcnt)

#endif
