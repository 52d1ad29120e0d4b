/* SPDX-License-Identifier: MIT */
/* Breakpoints of the debug registers (SDM volume 3, 17.2.4 and 17.2.5). */
#include "vmm/cpu/debug.h"

uint32_t debug_match(const struct cpu_state *s, unsigned kinds, uint64_t at, unsigned size)
{
    static const uint8_t lengths[4] = {1, 2, 8, 4};
    uint32_t hits = 0;

    for (unsigned i = 0; i < 4; i++) {
        unsigned rule = (unsigned)(s->dr7 >> (16 + 4 * i)) & 0xf;
        unsigned bytes = rule & 3 ? lengths[rule >> 2] : 1; // an instruction's is its first byte
        uint64_t first = s->dr[i] & ~(uint64_t)(bytes - 1);

        if (!(s->dr7 >> 2 * i & 3) || !(kinds >> (rule & 3) & 1))
            continue;
        if (first - at < size || at - first < bytes)
            hits |= 1u << i;
    }
    return hits;
}
