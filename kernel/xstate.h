/* SPDX-License-Identifier: MIT */
/*
 * Extended state (x87, SSE, AVX): XSAVE areas in the standard format (APM volume 2, 11.5), 64-byte aligned, xstate_size() bytes.
 * Switched eagerly. An image that the processor refuses (reserved bits, components outside XCR0) is never a fault in the kernel.
 */
#ifndef KERNEL_XSTATE_H
#define KERNEL_XSTATE_H

#include <stdbool.h>
#include <stdint.h>

#define XSTATE_X87 1u
#define XSTATE_SSE 2u
#define XSTATE_AVX 4u

struct cpu;

void xstate_init_cpu(struct cpu *cpu);
uint64_t xstate_mask(void);     // XCR0 while user ECs run
uint32_t xstate_size(void);
void xstate_init(void *area);   // zeroed memory of xstate_size() bytes becomes the initial state

static inline void xstate_save(void *area)
{
    __asm__ volatile("xsave64 (%0)" : : "r"(area), "a"(0xffffffffu), "d"(0xffffffffu) : "memory");
}

/* An image that the kernel itself saved or initialized. */
static inline void xstate_restore(const void *area)
{
    __asm__ volatile("xrstor64 (%0)" : : "r"(area), "a"(0xffffffffu), "d"(0xffffffffu) : "memory");
}

static inline void xstate_load_xcr0(uint64_t xcr0)
{
    __asm__ volatile("xsetbv" : : "a"((uint32_t)xcr0), "d"((uint32_t)(xcr0 >> 32)), "c"(0));
}

/* An image that others can write: false if the processor refused it (the registers are
 * then to be loaded again). */
bool xstate_restore_checked(const void *area);

/* XCR0 for a guest: false if it is not a value this processor can hold within xstate_mask(). */
bool xstate_valid_xcr0(uint64_t xcr0);

#endif
