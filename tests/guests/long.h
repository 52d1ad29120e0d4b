/* SPDX-License-Identifier: MIT */
/* 64-bit code from 32-bit C (long.S): what both sides share, and how a test is set up for it (random.c). */
#ifndef TESTS_GUESTS_LONG_H
#define TESTS_GUESTS_LONG_H

#include <stdint.h>

#define ISLAND 0x1200000u // IST 1, the one supervisor page that supervisor code may write
#define TABLES 0x1400000u // page tables; the first eight are taken
#define LAPIC 0xfee00000u

enum { P = 1, W = 2, U = 4, A = 0x20, D = 0x40, LARGE = 0x80 };

enum {
    CS32 = 8,
    DATA = 16,
    CS64 = 24,
    USER32 = 32 + 3,
    USER_DATA = 40 + 3,
    USER64 = 48 + 3,
    USER16 = 56 + 3,
    USER_DATA16 = 64 + 3,
    TSS = 72
};

struct frame {
    uint64_t r[15]; // r15 .. r8, rdi, rsi, rbp, rbx, rdx, rcx, rax
    uint64_t vector, error, rip, cs, rflags, rsp, ss;
};
_Static_assert(sizeof(struct frame) == 176, "what long.S pushes");

extern uint64_t long_stack, long_cr3, long_cr3_inside, long_frame, long_data;
extern char long_entries[], long_call[];
void long_mode(void);
/* Enters the frame at long_frame; returns when the handler answers an event with 0. */
void long_run(void);
int long_event(void);
extern int (*long_handler)(void);

/* Long mode with all memory below 1 GiB mapped by large pages, and the local APIC. */
void long_setup(void);

static inline volatile uint64_t *table(unsigned n)
{
    return (volatile uint64_t *)(TABLES + n * 4096);
}

#endif
