/* SPDX-License-Identifier: MIT */
/* Extended state: XCR0, sizes, checked restore. */
#include "kernel/xstate.h"

#include "kernel/cpu.h"
#include "kernel/msr.h"

#define FCW_INIT    0x37fu
#define MXCSR_INIT  0x1f80u
#define MXCSR_AT    24u

static uint64_t mask;
static uint32_t size;

void xstate_init_cpu(struct cpu *cpu)
{
    struct cpuid c = cpuid(0xd, 0);
    mask = c.eax & (XSTATE_X87 | XSTATE_SSE | XSTATE_AVX);
    xstate_load_xcr0(mask);
    cpu->xcr0 = mask;
    size = cpuid(0xd, 0).ebx;
}

uint64_t xstate_mask(void)
{
    return mask;
}

uint32_t xstate_size(void)
{
    return size;
}

void xstate_init(void *area)
{
    /* XSTATE_BV = 0 gives every component its initial value, MXCSR excepted: XRSTOR loads that one from memory (APM volume 4, XRSTOR). */
    *(uint16_t *)area = FCW_INIT;
    *(uint32_t *)(void *)((uint8_t *)area + MXCSR_AT) = MXCSR_INIT;
}

bool xstate_restore_checked(const void *area)
{
    __asm__ goto("1:\txrstor64 (%0)\n\t"
                 ".pushsection .fixup, \"a\"\n\t"
                 ".quad 1b, %l[refused]\n\t"
                 ".popsection"
                 : : "r"(area), "a"(0xffffffffu), "d"(0xffffffffu) : "memory" : refused);
    return true;
refused:
    return false;
}

bool xstate_valid_xcr0(uint64_t xcr0)
{
    return !(xcr0 & ~mask) && (xcr0 & XSTATE_X87) && (!(xcr0 & XSTATE_AVX) || (xcr0 & XSTATE_SSE));
}
