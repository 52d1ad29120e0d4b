/* SPDX-License-Identifier: MIT */
/*
 * Debug registers (SDM volume 3, 17.2 and 17.3): what a breakpoint is met by. The interpreter looks
 * at them where the engine has them at hand (CPU_DR valid), which those in software always have.
 */
#ifndef VMM_CPU_DEBUG_H
#define VMM_CPU_DEBUG_H

#include "vmm/cpu/control.h"
#include "vmm/cpu/state.h"

#include <stdbool.h>

#define DR6_HITS 0x000fu // B0 to B3
#define DR6_BD 0x2000u
#define DR6_BS 0x4000u
#define DR7_ON 0x00ffu // L0 to L3, G0 to G3
#define DR7_GD 0x2000u

/* Values of R/Wn, as a set of them. */
#define DEBUG_EXECUTE 0x1u
#define DEBUG_WRITE   0x2u
#define DEBUG_PORT    0x4u // with CR4.DE
#define DEBUG_ACCESS  0x8u

static inline bool debug_watches(const struct cpu_state *s)
{
    return (s->valid & CPU_DR) && (s->dr7 & DR7_ON);
}

/*
 * DR6 and DR7 as a debug exception leaves them: B0 to B3 tell of this one alone, the others of DR6
 * are never cleared (17.2.3); its handler begins with GD clear (17.2.4).
 */
static inline void debug_report(struct cpu_state *s, uint32_t why)
{
    s->dr6 = (s->dr6 & ~(uint64_t)DR6_HITS) | why;
    s->dr7 &= ~(uint64_t)DR7_GD;
}

/* B0 to B3 of DR6: enabled breakpoints of these kinds that [at, at + size) meets. */
uint32_t debug_match(const struct cpu_state *s, unsigned kinds, uint64_t at, unsigned size);

#endif
