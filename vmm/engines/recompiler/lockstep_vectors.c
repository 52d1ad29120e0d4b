/* SPDX-License-Identifier: MIT */
/* XSAVE images compared. */
#include "vmm/engines/recompiler/lockstep_vectors.h"

#include "vmm/cpu/xstate.h"

#include "lib/string.h"

/* A copy in which every component is there. */
static void expand(const uint8_t *image, uint8_t *to)
{
    memcpy(to, image, LOCKSTEP_IMAGE);
    for (uint64_t bit = XSTATE_X87; bit <= XSTATE_AVX; bit <<= 1)
        if (!(image[XSAVE_BV] & bit))
            xstate_initialize(to, bit);
}

bool lockstep_vectors_agree(const uint8_t *a, const uint8_t *b)
{
    uint8_t x[LOCKSTEP_IMAGE], y[LOCKSTEP_IMAGE];

    expand(a, x);
    expand(b, y);
    for (unsigned i = 0; i < 8; i++)
        if (memcmp(x + XSAVE_ST + 16 * i, y + XSAVE_ST + 16 * i, 10))
            return false;
    return !memcmp(x, y, 5) && !memcmp(x + XSAVE_MXCSR, y + XSAVE_MXCSR, 4) &&
           !memcmp(x + XSAVE_XMM, y + XSAVE_XMM, 256) &&
           !memcmp(x + XSAVE_YMMH, y + XSAVE_YMMH, 256);
}
