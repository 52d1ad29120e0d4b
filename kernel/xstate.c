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
    static const struct {
        uint8_t bytes[576];
    } __attribute__((aligned(64))) initial = {.bytes = {[0] = 0x7f, [1] = 3, [MXCSR_AT] = 0x80, [MXCSR_AT + 1] = 0x1f}};
    uint32_t good = 1;
    __asm__ volatile("1:\txrstor64 (%1)\n"
                     "2:\t.pushsection .fixup, \"a\"\n\t"
                     ".quad 1b, 3f\n\t"
                     ".popsection\n\t"
                     ".pushsection .text.fixup, \"ax\"\n"
                     "3:\txorl %0, %0\n\t"
                     "jmp 2b\n\t"
                     ".popsection"
                     : "+r"(good) : "r"(area), "a"(0xffffffffu), "d"(0xffffffffu) : "memory");
    if (!good)
        xstate_restore(&initial);
    return good;
}

bool xstate_valid_xcr0(uint64_t xcr0)
{
    return !(xcr0 & ~mask) && (xcr0 & XSTATE_X87) && (!(xcr0 & XSTATE_AVX) || (xcr0 & XSTATE_SSE));
}
