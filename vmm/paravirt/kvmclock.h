/* SPDX-License-Identifier: MIT */
/*
 * The KVM paravirtual clock (Linux, Documentation/virt/kvm/x86/msr.rst and pvclock-abi.h): a page
 * in guest RAM from which a vCPU turns its TSC into nanoseconds since power-on, and a structure
 * with the wall clock at power-on.
 *
 * The TSC runs at one known rate and stands still when the machine does, so a page is written when
 * the guest registers it and when its TSC is moved, and never else; all vCPUs' clocks agree (the
 * stable flag). Belongs to the vCPU's thread. Addresses come from the guest: a page that is not RAM
 * is not written.
 */
#ifndef VMM_PARAVIRT_KVMCLOCK_H
#define VMM_PARAVIRT_KVMCLOCK_H

#include "vmm/clock.h"
#include "vmm/memory.h"

#include <stdbool.h>
#include <stdint.h>

#define KVMCLOCK_MSR_WALL_OLD   0x11u
#define KVMCLOCK_MSR_SYSTEM_OLD 0x12u
#define KVMCLOCK_MSR_WALL       0x4b564d00u
#define KVMCLOCK_MSR_SYSTEM     0x4b564d01u

/* ns = ((ticks shifted by shift) * mul) >> 32, the shift to the left if positive. */
struct kvmclock_scale {
    uint32_t mul;
    int8_t   shift;
};

struct kvmclock {
    uint64_t system; // the MSR: address, and bit 0: enabled
    uint64_t wall;
};

/* hz: of the TSC, not 0. */
struct kvmclock_scale kvmclock_scale(uint64_t hz);
uint64_t kvmclock_ns(struct kvmclock_scale scale, uint64_t ticks);

/* tsc_skew: the guest's TSC when the machine's clock was 0. */
void kvmclock_write_system(struct kvmclock *kvmclock, struct memory *memory,
                           const struct clock *clock, uint64_t tsc_skew, uint64_t value);
void kvmclock_write_wall(struct kvmclock *kvmclock, struct memory *memory,
                         const struct clock *clock, uint64_t value);
/* The guest's TSC was moved. */
void kvmclock_update(const struct kvmclock *kvmclock, struct memory *memory,
                     const struct clock *clock, uint64_t tsc_skew);

#endif
