/* SPDX-License-Identifier: MIT */
/*
 * Runs one instruction on the processor of this machine, in 64-bit user mode, with all general
 * registers (RSP too), flags and, if wanted, the vector registers given. One thread only. The code
 * must end in the jump that native_put_exit() writes. Signals of its kind that come at other times
 * go to the handlers that were there before native_init().
 */
#ifndef TESTS_CPU_NATIVE_H
#define TESTS_CPU_NATIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NATIVE_NO_FAULT 0xffu
#define NATIVE_EXIT_SIZE 14u

struct native_state {
    uint64_t gpr[16];
    uint64_t rflags;
    uint64_t target; // code
    uint64_t host_rsp;
    uint64_t exit;   // which exit was taken: 0 or 1
    uint64_t vectors; // XSAVE components to load and save, 0 none
    uint64_t error, cr2, rip; // of an exception, as Linux tells them
    uint8_t  xsave[4096] __attribute__((aligned(64)));
};
_Static_assert(offsetof(struct native_state, xsave) == 192, "known to the assembly");

extern struct native_state native_state;

void native_init(void);
/* Writes a jump to exit `which` (0, 1). Changes no flags. */
void native_put_exit(uint8_t *code, unsigned which);
/*
 * The same out of 32-bit code: a far jump of 7 bytes to the 64-bit jump at `thunk`, which
 * native_put_exit() has written below 4 GiB; and the way in: a jump at `thunk` to 32-bit code.
 */
void native_put_exit32(uint8_t *code, const uint8_t *thunk);
void native_put_entry32(uint8_t *thunk, const uint8_t *code);
/*
 * Runs native_state; returns the exception's vector, or NATIVE_NO_FAULT. After an exception gpr and
 * rflags are those of the fault.
 */
unsigned native_run(void);

#endif
