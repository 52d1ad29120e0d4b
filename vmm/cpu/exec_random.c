/* SPDX-License-Identifier: MIT */
/* Handlers: RDRAND and RDSEED, from the host's generator (SDM volume 2); #UD if it has none. */
#include "vmm/cpu/exec.h"
#include "vmm/cpu/host_feature.h"

/* CF says whether there was a number; it is 0 if not. */
static enum interp_status give(struct interp *c, uint64_t value, bool there)
{
    exec_set_reg(c, c->insn.rm, c->insn.opsize, there ? value : 0);
    c->state->rflags = (c->state->rflags & ~RFLAGS_STATUS) | (there ? RFLAGS_CF : 0);
    return INTERP_DONE;
}

enum interp_status exec_rdrand(struct interp *c)
{
    uint64_t value;
    bool there;

    if (!(c->host & HOST_RDRAND))
        return exec_fault(c, EXCEPTION_UD);
    __asm__ volatile("rdrand %0" : "=r"(value), "=@ccc"(there) : : "cc");
    return give(c, value, there);
}

enum interp_status exec_rdseed(struct interp *c)
{
    uint64_t value;
    bool there;

    if (!(c->host & HOST_RDSEED))
        return exec_fault(c, EXCEPTION_UD);
    __asm__ volatile("rdseed %0" : "=r"(value), "=@ccc"(there) : : "cc");
    return give(c, value, there);
}
