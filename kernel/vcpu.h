/* SPDX-License-Identifier: MIT */
/*
 * The vCPU half of an EC: hardware state beside the state page (abi/vcpu.h), behind a table of operations for the processor's kind.
 *
 * The owner of the EC provides all memory: a zeroed frame for control (VMCB), the state page, the root of the guest space's nested table, and bitmaps
 * with 1 = intercept. A vCPU belongs to one CPU; all operations are done there, with interrupts off, except that anyone may set state->recall
 * and send the CPU an IPI.
 */
#ifndef KERNEL_VCPU_H
#define KERNEL_VCPU_H

#include "abi/vcpu.h"

#include <stdbool.h>
#include <stdint.h>

struct cpu;
struct vmcb;

struct vcpu {
    struct abi_vcpu *state;
    struct vmcb *vmcb;
    uint64_t vmcb_phys;
    uint64_t serial;          // never reused on its CPU: for the tag invariant
    uint64_t asid_generation;
    uint64_t xcr0;            // the guest's
    uint32_t suspect;         // groups with fields that the processor should refuse
    uint32_t exceptions;      // those that the VM process wants
    uint64_t dr[4];           // the guest's while not in the processor
    bool entered;             // in the guest: the page's GPR and CORE groups are stale and not to be read
    bool dr_live;             // the guest owns the debug registers
    bool own_dr;              // the VM process wants accesses to the debug registers
    bool windows;             // an interrupt window or the end of NMI blocking is being waited for
    bool nmi_blocked;
    bool nmi_step;            // single-stepping the IRET that ends the blocking
};

struct vcpu_memory {
    struct abi_vcpu *state;   // 4 KiB, kernel address
    void *control;            // 4 KiB, kernel address, zeroed
    uint64_t control_phys;
    uint64_t nested_root;     // physical
    uint64_t io_bitmap;       // physical, 12 KiB contiguous, or 0: intercept all ports
    uint64_t msr_bitmap;      // physical, 8 KiB contiguous (APM volume 2, 15.11), or 0: intercept all MSRs
};

enum vcpu_outcome {
    VCPU_EXIT,      // state->reason says why; reply to the caller
    VCPU_INTERRUPT  // a host interrupt is pending: cpu_take_interrupts(), schedule, and run again
};

struct vcpu_ops {
    void (*create)(struct vcpu *vcpu, const struct vcpu_memory *memory);
    /* The caller's extended state is saved before and restored after by the caller; FS base is 0 afterwards. */
    enum vcpu_outcome (*run)(struct vcpu *vcpu);
    /* Brings groups into the state page; the vCPU must not be running. */
    void (*fetch)(struct vcpu *vcpu, uint32_t groups);
    /* Drops this CPU's cached nested translations of all guest spaces. */
    void (*flush)(void);
};

/* Each CPU: turns virtualization on if the processor has it with nested paging. */
void vcpu_init_cpu(struct cpu *cpu);

/* The operations of this machine, NULL without hardware virtualization. The same on all CPUs. */
const struct vcpu_ops *vcpu_ops(void);

#endif
