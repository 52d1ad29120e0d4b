/* SPDX-License-Identifier: MIT */
/*
 * The hardware engine on the microhypervisor: one kernel vCPU for each of the machine's, its state page shared with the kernel.
 *
 * Each vCPU lives on one host CPU and is run by its own thread there (vmm/engine.h). The guest space is made here and filled by
 * engine_map(). MSRs that hold only the guest's own state and live in the VMCB go to the guest directly, if the component
 * has been given SEL_MSR; otherwise each access exits.
 */
#ifndef HOSTS_MICRO_ENGINE_H
#define HOSTS_MICRO_ENGINE_H

#include "framework/status.h"
#include "vmm/engine.h"

#include <stdint.h>

#define ENGINE_VCPUS_MAX 64u

struct engine {
    unsigned count;
    uint32_t gst, pio, msr;            // selectors of the spaces
    uint32_t vcpu[ENGINE_VCPUS_MAX];   // selectors
    uint32_t cpu[ENGINE_VCPUS_MAX];    // host CPU of each
    struct cpu_state *state[ENGINE_VCPUS_MAX];
};

extern const struct engine_ops engine_micro;

/* count vCPUs, spread over the CPUs of the component's mask. */
enum status engine_create(struct engine *engine, unsigned count) MUST_CHECK;

/* Makes [base, base + size) of this component appear to the guest at gpa. Multiples of 4 KiB. */
enum status engine_map(struct engine *engine, uint64_t gpa, const void *base, uint64_t size, unsigned perms) MUST_CHECK;

#endif
