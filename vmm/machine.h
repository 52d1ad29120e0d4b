/* SPDX-License-Identifier: MIT */
/*
 * What a machine consists of: the whole of struct vm, for the files that build and run it.
 * Devices do not include this.
 *
 * Locks, in the order they are taken: `lock` (devices), a local APIC's timer lock, the clock's
 * lock.
 */
#ifndef VMM_MACHINE_H
#define VMM_MACHINE_H

#include "vmm/boot/boot.h"
#include "vmm/cpu/cpuid.h"
#include "vmm/cpu/msr.h"
#include "vmm/devices/board.h"
#include "vmm/devices/fw_cfg.h"
#include "vmm/devices/rom.h"
#include "vmm/devices/hpet.h"
#include "vmm/devices/i8042.h"
#include "vmm/devices/ioapic.h"
#include "vmm/devices/pci.h"
#include "vmm/devices/pic.h"
#include "vmm/devices/pit.h"
#include "vmm/devices/pm.h"
#include "vmm/devices/pvpanic.h"
#include "vmm/devices/rtc.h"
#include "vmm/devices/testdev.h"
#include "vmm/devices/uart.h"
#include "vmm/irq.h"
#include "vmm/record.h"
#include "vmm/vcpu.h"
#include "vmm/trace.h"
#include "vmm/vm.h"

#define VM_UARTS 2u

struct vm {
    struct host *host;
    const struct engine_ops *ops;
    struct engine *engine;
    struct vm_config config;
    struct host_mutex *lock;
    struct clock clock;
    struct memory memory;
    struct port_bus ports;
    struct memory_bus mmio;
    struct irq_hub irqs;
    struct apic_bus apics;

    struct pic_pair pic;
    struct ioapic ioapic;
    struct pit pit;
    struct rtc rtc;
    struct i8042 kbc;
    struct board board;
    struct rom rom;
    struct fw_cfg fw_cfg;
    struct testdev *testdev;        // NULL: none
    struct pvpanic pvpanic;
    struct pm pm;
    struct pci pci;
    struct hpet hpet;
    struct uart uart[VM_UARTS];
    struct device *devices;         // all of the above, and the local APICs
    struct clock_timer watchdog;

    struct cpuid_table cpuid;
    struct vcpu_msrs msrs[VM_VCPUS_MAX];
    struct vcpu *vcpu;
    struct record *record;          // NULL: neither recording nor replay
    struct boot boot;               // of the last load; boot.entry is where the first vCPU starts

    /* A reset: all vCPUs park, the last one resets the machine, and a new generation begins. */
    _Atomic uint32_t reset_wanted;
    _Atomic uint32_t parked;
    _Atomic uint32_t generation;
    _Atomic uint64_t masked; // of addresses, by the A20 gate: struct walk's, for each vCPU to take

    _Atomic uint32_t ending;        // somebody has set `end`
    _Atomic uint32_t ended;         // `end` can be read
    struct vm_end end;
};

/* machine.c: everything but the vCPUs' registers. */
enum vmm_status machine_build(struct vm *vm) VMM_MUST_CHECK;
void machine_reset(struct vm *vm);
/* Loads firmware tables and kernel; says why not in the log. */
bool machine_boot(struct vm *vm) VMM_MUST_CHECK;

/* vm.c */
void vm_finish(struct vm *vm, enum vm_end_reason reason, uint32_t code, unsigned vcpu);
/* The vCPU's part of a reset. False: the machine has ended instead. */
bool vm_park(struct vm *vm, struct vcpu *vcpu) VMM_MUST_CHECK;
__attribute__((format(printf, 2, 3)))
void vm_log(struct vm *vm, const char *format, ...);
/* A line of the trace; only if vm_traces() says that it is wanted. */
__attribute__((format(printf, 2, 3)))
void vm_trace(struct vm *vm, const char *format, ...);

static inline bool vm_traces(const struct vm *vm, enum trace_kind kind)
{
    return __builtin_expect(vm->config.trace & kind, 0);
}

#endif
