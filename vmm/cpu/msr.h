/* SPDX-License-Identifier: MIT */
/*
 * What the guest's RDMSR and WRMSR do, by one table (Intel SDM volume 4; AMD APM volume 2, appendix
 * A).
 *
 * An MSR is: part of the engine's state, a register of the local APIC, the clock's, merely stored,
 * a constant, or ignored. Whatever is not in the table raises #GP, as on hardware, with a line in
 * the log for the first few of each vCPU. Belongs to the vCPU's thread.
 */
#ifndef VMM_CPU_MSR_H
#define VMM_CPU_MSR_H

#include "vmm/clock.h"
#include "vmm/cpu/cpuid.h"
#include "vmm/memory.h"
#include "vmm/paravirt/kvmclock.h"

#include <stdbool.h>
#include <stdint.h>

#define MSR_STORED 48u // slots for what is merely stored

struct vcpu;

struct vcpu_msrs {
    /* State. */
    uint64_t stored[MSR_STORED];
    uint64_t tsc_adjust;
    uint64_t misc_enable;
    uint32_t tsc_aux;
    struct kvmclock kvmclock;
    /* Wiring. */
    struct memory *memory;
    const struct clock *clock;
    const struct cpuid_table *cpuid;
    unsigned logged; // lines about unknown MSRs so far
};

void msr_init(struct vcpu_msrs *msrs, struct memory *memory, const struct clock *clock,
              const struct cpuid_table *cpuid);
/* Power-on; INIT changes no MSR of this table. */
void msr_reset(struct vcpu_msrs *msrs);

/* One of the local APIC's. */
bool msr_is_apic(uint32_t index);
/* False: #GP(0). */
bool msr_read(struct vcpu *vcpu, uint32_t index, uint64_t *value) VMM_MUST_CHECK;
bool msr_write(struct vcpu *vcpu, uint32_t index, uint64_t value) VMM_MUST_CHECK;

#endif
