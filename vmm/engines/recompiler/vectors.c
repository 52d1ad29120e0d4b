/* SPDX-License-Identifier: MIT */
/*
 * XSAVE, XSAVEOPT and XRSTOR of all components, as operating systems switch tasks: between the
 * processor's registers and guest RAM by way of the vCPU's image. The rest is the interpreter's.
 */
#include "vmm/engines/recompiler/translate.h"

#include "lib/bytes.h"
#include "lib/string.h"
#include "vmm/cpu/xstate.h"

#define PAGE   4096ull
#define ALL    (XSTATE_X87 | XSTATE_SSE | XSTATE_AVX)

static uint64_t get64(const uint8_t *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof(value));
    return value;
}

static bool is_usual(const struct rec_cpu *cpu)
{
    const struct cpu_state *s = &cpu->state;

    return !cpu->engine->lockstep && cpu->address % 64 == 0 && s->xcr0 == ALL &&
           ((uint32_t)s->gpr[CPU_RAX] & ALL) == ALL;
}

/* The guest's area on the host, in one or two pages. False: not RAM, or not to be written to. */
static bool find_area(struct rec_cpu *cpu, bool write, uint8_t *part[2], unsigned *first)
{
    uint64_t at = cpu->address, left = PAGE - (at & (PAGE - 1)), addend = rec_addend(cpu, at, write);

    if (addend == REC_REFUSED)
        return false;
    part[0] = (uint8_t *)(uintptr_t)(at + addend);
    *first = left < XSAVE_SIZE ? (unsigned)left : XSAVE_SIZE;
    if (*first == XSAVE_SIZE)
        return true;
    addend = rec_addend(cpu, at + left, write);
    part[1] = (uint8_t *)(uintptr_t)(at + left + addend);
    return addend != REC_REFUSED;
}

/* Bytes [from, to) of the image into the area. */
static void put(uint8_t *part[2], unsigned first, const uint8_t *image, unsigned from, unsigned to)
{
    unsigned middle = to < first ? to : from > first ? from : first;

    if (from < middle)
        bytes_copy(part[0] + from, image + from, middle - from);
    if (middle < to)
        bytes_copy(part[1] + (middle - first), image + middle, to - middle);
}

static uint8_t *header(uint8_t *part[2], unsigned first)
{
    return XSAVE_BV < first ? part[0] + XSAVE_BV : part[1] + (XSAVE_BV - first);
}

uint64_t rec_xsave(struct rec_cpu *cpu)
{
    uint8_t *image = cpu->state.xsave, *part[2] = {NULL, NULL};
    uint64_t used, present, others, none = 0;
    uint32_t mask = MXCSR_VALID;
    unsigned first;

    if (!is_usual(cpu) || !find_area(cpu, true, part, &first))
        return rec_give_up(cpu);
    memcpy(image + XSAVE_BV, &none, sizeof(none));
    __asm__ volatile("xsaveq %0" : "+m"(cpu->state.xsave) : "a"(ALL), "d"(0) : "memory");
    bytes_zero(image + XSAVE_FOP, XSAVE_MXCSR - XSAVE_FOP); // of translated code: none of the guest's
    memcpy(image + XSAVE_MASK, &mask, sizeof(mask));
    present = xstate_used(image);
    used = cpu->argument ? present : ALL;
    if (used & XSTATE_X87) {
        put(part, first, image, 0, XSAVE_MXCSR);
        put(part, first, image, XSAVE_ST, XSAVE_XMM);
    }
    put(part, first, image, XSAVE_MXCSR, XSAVE_ST);
    if (used & XSTATE_SSE)
        put(part, first, image, XSAVE_XMM, XSAVE_XMM + 256);
    if (used & XSTATE_AVX)
        put(part, first, image, XSAVE_YMMH, XSAVE_SIZE);
    /* Bits of other components stay. XSAVE_BV is at the beginning of 64 bytes: not in two pages. */
    bytes_copy((uint8_t *)&others, header(part, first), sizeof(others));
    used = present | (others & ~ALL);
    bytes_copy(header(part, first), (const uint8_t *)&used, sizeof(used));
    return 0;
}

uint64_t rec_xrstor(struct rec_cpu *cpu)
{
    uint8_t *image = cpu->state.xsave, *part[2] = {NULL, NULL};
    uint32_t mxcsr;
    unsigned first;

    if (!is_usual(cpu) || !find_area(cpu, false, part, &first))
        return rec_give_up(cpu);
    bytes_copy(image, part[0], first);
    if (first < XSAVE_SIZE)
        bytes_copy(image + first, part[1], XSAVE_SIZE - first);
    memcpy(&mxcsr, image + XSAVE_MXCSR, sizeof(mxcsr));
    if ((get64(image + XSAVE_BV) & ~ALL) || get64(image + XSAVE_COMP) ||
        get64(image + XSAVE_COMP + 8) || (mxcsr & ~MXCSR_VALID)) {
        bytes_zero(image + XSAVE_BV, 64); // what XSAVE does not write, and XRSTOR refuses
        return rec_give_up(cpu);
    }
    bytes_zero(image + XSAVE_COMP, 56);
    bytes_zero(image + XSAVE_FOP, XSAVE_MXCSR - XSAVE_FOP);
    __asm__ volatile("xrstorq %0" : : "m"(cpu->state.xsave), "a"(ALL), "d"(0) : "memory");
    return 0;
}
