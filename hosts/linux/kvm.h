/* SPDX-License-Identifier: MIT */
/*
 * The hardware engine on Linux: KVM runs the vCPUs, everything else stays in this process.
 *
 * KVM gets guest RAM, the CPUID table and the registers. It has no interrupt controller and no
 * timer: local APICs, IOAPIC, 8259 and PIT are the VM process's (Linux:
 * Documentation/virt/kvm/api.rst). Accesses to devices and to the MSRs that are ours come as exits
 * of KVM_RUN in the middle of an instruction that KVM's emulator executes: the engine makes the
 * access through the vCPU, as the interpreter does, and KVM completes the instruction. An
 * instruction that KVM's emulator does not have goes to the interpreter.
 *
 * The guest reads the processor's own TSC, moved by an offset, so the ticks of a host whose engine
 * is KVM are the TSC's (kvm_create sets host->tsc_khz). All set-up is done before the sandbox
 * closes; behind it a vCPU needs the requests of kvm_requests[] on its own file only.
 */
#ifndef HOSTS_LINUX_KVM_H
#define HOSTS_LINUX_KVM_H

#include "vmm/engine.h"
#include "vmm/host.h"
#include "vmm/vm.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern const struct engine_ops engine_kvm;

/* As struct engine_kind wants them (engines.h). Failure of kvm_create() is in the log. */
struct engine *kvm_create(struct host *host, unsigned vcpus);
bool kvm_attach(struct engine *engine, struct vm *vm);
void kvm_destroy(struct engine *engine);
unsigned kvm_files(const struct engine *engine, int *fd); // at most one a vCPU

/* The ioctl requests that running vCPUs make. */
#define KVM_REQUESTS 12u
extern const uint32_t kvm_requests[KVM_REQUESTS];

/*
 * What a guest of a few instructions shows, run just now. UNFIT: it did not run right. POOR: it
 * did, but KVM emulates it, slower than this program's own engines, or shows it another CPUID than
 * ours: good for tests only. `error` says why, and what to do. Takes KVM_PROBE_MS at most; the
 * guest runs in a process of its own, which is killed if it does not come back. Before any thread
 * is started.
 */
#define KVM_PROBE_MS 500u
enum kvm_fitness { KVM_FIT, KVM_POOR, KVM_UNFIT };
enum kvm_fitness kvm_probe(char *error, size_t size);

#endif
