/* SPDX-License-Identifier: MIT */
/* What the files of the KVM engine share: kvm.c (set-up), kvm_state.c, kvm_exit.c, kvm_probe.c. */
#ifndef HOSTS_LINUX_KVM_ENGINE_H
#define HOSTS_LINUX_KVM_ENGINE_H

#include "hosts/linux/kvm.h"
#include "vmm/cpu/cpuid.h"
#include "vmm/vcpu.h"

#include <linux/kvm.h>
#include <signal.h>
#include <stdatomic.h>

#define KVM_KICK_SIGNAL SIGUSR1
#define KVM_CPUIDS      256u  // leaves that KVM may offer

struct kvm_vcpu {
    int fd;
    struct kvm_run *run;
    size_t run_size;
    struct cpu_state *state;
    _Atomic uint32_t kicked;   // sticky, until run() returns for it
    _Atomic int32_t thread;    // that is in KVM_RUN, or 0
    bool flush;                // KVM may remember translations that are void
    /* As KVM has them: put again only when they differ. */
    uint64_t event;
    uint8_t shadow, nmi_blocked, nmi_pending;
};

struct engine {
    struct host *host;
    struct vm *vm;             // from kvm_attach() on
    int kvm, fd;               // /dev/kvm and the VM; -1: closed
    bool broken;
    uint32_t tsc_khz;
    bool tsc_moves;            // the guest's TSC; else it is the processor's as it is
    unsigned count, slots;
    struct kvm_cpuid2 *supported;
    struct kvm_vcpu *vcpu;
};

/* kvm.c. False: `error` says why and what to do. The engine is zeroed before, kvm_close() frees. */
bool kvm_open(struct engine *engine, unsigned vcpus, char *error,
              size_t size) __attribute__((warn_unused_result));
void kvm_close(struct engine *engine);
bool kvm_map(void *engine, uint64_t gpa, uint8_t *base, uint64_t size,
             bool writable) __attribute__((warn_unused_result));
void kvm_read_cpuid(void *engine, uint32_t leaf, uint32_t subleaf, struct cpuid_regs *out);
bool kvm_set_cpuid(struct engine *engine,
                   const struct cpuid_table *table) __attribute__((warn_unused_result));
/* The MSRs that KVM keeps for the guest; accesses to all others are exits. */
bool kvm_keeps_msr(uint32_t index);

/*
 * kvm_state.c: struct cpu_state from and to KVM. take: after KVM_RUN, GPR and CORE; what is dirty
 * stays. put: all that is dirty, before KVM_RUN; not while KVM has an instruction to complete.
 */
void kvm_take(struct kvm_vcpu *vcpu);
bool kvm_put(struct kvm_vcpu *vcpu) __attribute__((warn_unused_result));
bool kvm_get(struct kvm_vcpu *vcpu, uint32_t groups) __attribute__((warn_unused_result));

bool kvm_set_tsc(struct kvm_vcpu *vcpu, uint64_t offset) __attribute__((warn_unused_result));

/*
 * kvm_exit.c: KVM_RUN, and the engine's run(). KVM_ENTER_EXIT: run->exit_reason says what; BACK: it
 * was kicked, and no instruction is left half done.
 */
enum kvm_enter { KVM_ENTER_EXIT, KVM_ENTER_BACK, KVM_ENTER_FAILED };
enum kvm_enter kvm_enter(struct kvm_vcpu *vcpu);
bool kvm_engine_run(struct engine *engine, unsigned vcpu);

#endif
