/* SPDX-License-Identifier: MIT */
/*
 * What the handlers of SSE and AVX share. Floating point on the host's processor: it runs with the guest's MXCSR but all
 * exceptions masked, and the flags then say what an unmasked one is (SDM volume 1, 11.5.2 and
 * 11.5.3). That ends the instruction with nothing changed but them; those of invalid operation,
 * denormal and division by zero come before there is a result.
 */
#ifndef VMM_CPU_EXEC_FLOAT_H
#define VMM_CPU_EXEC_FLOAT_H

#include "vmm/cpu/xstate.h"

#define FLOAT_UNDERFLOW 0x10u
#define FLOAT_FLUSH     0x8000u

static inline uint32_t float_unmasked(uint32_t mxcsr)
{
    return ~mxcsr >> 7 & MXCSR_FLAGS;
}

/* What to run with, for the guest's MXCSR. Flags are sticky: with none unmasked they may stay. */
static inline uint32_t float_begin(uint32_t mxcsr)
{
    uint32_t unmasked = float_unmasked(mxcsr);

    if (!unmasked)
        return mxcsr;
    /* Flush to zero is for masked underflow. */
    return ((mxcsr & ~MXCSR_FLAGS) | MXCSR_MASKS) & ~(unmasked & FLOAT_UNDERFLOW ? FLOAT_FLUSH : 0);
}

/*
 * `before` is the guest's MXCSR, `after` what the run has made of float_begin(before). tiny: a
 * result is a denormal number, which is an unmasked underflow even if it is exact.
 */
static inline enum interp_status float_end(struct interp *c, uint32_t before, uint32_t after,
                                           bool tiny)
{
    uint32_t unmasked = float_unmasked(before), raised = after & MXCSR_FLAGS;

    if (!unmasked) {
        if (after != before)
            xstate_set_mxcsr(c, after);
        return INTERP_DONE;
    }
    if (tiny)
        raised |= FLOAT_UNDERFLOW & unmasked;
    if (raised & unmasked & 7)
        raised &= 7;
    if (raised & ~before)
        xstate_set_mxcsr(c, before | raised);
    if (!(raised & unmasked))
        return INTERP_DONE;
    return exec_fault(c, c->state->cr4 & CR4_OSXMMEXCPT ? EXCEPTION_XM : EXCEPTION_UD);
}

/* Is one of `lanes` numbers of 2, 4 or 8 bytes denormal? */
bool float_tiny(const uint8_t *value, unsigned lanes, unsigned size);

/* A length of PCMPESTRI, PCMPESTRM and their VEX forms: more than 16 in size is as 16. */
uint64_t sse_string_length(const struct interp *c, unsigned reg);

#endif
