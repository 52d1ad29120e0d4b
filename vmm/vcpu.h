/* SPDX-License-Identifier: MIT */
/*
 * One virtual CPU: its place between engine, local APIC and machine.
 *
 * All fields belong to its own thread (vcpu_loop) but those that are atomic. vcpu_signal() may
 * come from any thread.
 */
#ifndef VMM_VCPU_H
#define VMM_VCPU_H

#include "vmm/cpu/interp.h"
#include "vmm/cpu/state.h"
#include "vmm/devices/lapic.h"
#include "vmm/engine.h"

#include <stdbool.h>
#include <stdint.h>

struct vm;

/* What waits for the vCPU's thread; bits of vcpu.pending. */
#define VCPU_INTERRUPT 0x01u // look at local APIC and 8259
#define VCPU_NMI       0x02u
#define VCPU_INIT      0x04u
#define VCPU_SIPI      0x08u
#define VCPU_STOP      0x10u // the machine ends, or is reset: look at it
#define VCPU_LOOK      0x20u // the watchdog asks whether the guest makes progress
#define VCPU_A20       0x40u // the machine's A20 gate has changed
#define VCPU_STORE     0x80u // what MWAIT waits for may have been written

/* A guest must not be able to fill the log, which all share. */
#define VCPU_REPORTS_MAX 16u

enum vcpu_activity { VCPU_RUNNING, VCPU_HALTED, VCPU_WAIT_SIPI };

struct vcpu {
    struct vm *vm;
    unsigned id;
    const struct engine_ops *ops;
    struct engine *engine;
    struct cpu_state *state;
    struct lapic lapic;
    enum vcpu_activity activity;
    bool check;              // interrupts have to be looked at before the next entry
    uint8_t nmi;             // NMIs that wait: at most two
    _Atomic uint32_t nmis;   // NMIs that have been signalled
    _Atomic uint32_t pending;
    _Atomic uint32_t sipi;   // vector of the SIPI that waits
    _Atomic uint32_t inside; // in, or about to enter, the guest: a signal has to kick
    _Atomic uint32_t asleep; // waiting for wake
    struct host_event *wake;
    uint64_t poll;           // ticks to look for a signal before sleeping
    bool looked_awake;       // the engine has done that already
    bool monitors;           // halted by MWAIT: a write wakes it
    bool stored;             // there was one
    unsigned reports;        // lines in the log about what this guest does
    uint64_t exits;          // statistics, and what the watchdog compares
    uint64_t looked;         // exits at the watchdog's last look
    bool stuck;              // it has been reported
    struct vcpu_msrs *msrs;  // vmm/cpu/msr.h
    struct interp interp;
};

enum vmm_status vcpu_init(struct vcpu *vcpu, struct vm *vm, unsigned id) VMM_MUST_CHECK;

/* Power-on state, by its own thread: the first vCPU at the machine's boot entry, others waiting. */
void vcpu_power_on(struct vcpu *vcpu);
/* INIT, and the start-up message that follows it. */
void vcpu_init_reset(struct vcpu *vcpu);
void vcpu_start_up(struct vcpu *vcpu, uint8_t vector);

/* Handles the exit in vcpu->state. */
void vcpu_handle_exit(struct vcpu *vcpu);
/* Executes the instruction at RIP by the interpreter. */
void vcpu_emulate(struct vcpu *vcpu);
/* The task priority is in CR8 as well: gives the local APIC what MOV CR8 has done in the guest. */
static inline void vcpu_take_priority(struct vcpu *vcpu)
{
    if (vcpu->state->cr8 != lapic_cr8(&vcpu->lapic)) {
        lapic_set_cr8(&vcpu->lapic, vcpu->state->cr8);
        vcpu->check = true;
    }
}
/*
 * Its interpreter, and what becomes of the two ways in which a step can fail: the fault that it
 * left is injected, or #UD with a line in the log.
 */
struct interp *vcpu_interp(struct vcpu *vcpu);
void vcpu_fault(struct vcpu *vcpu);
/* A port access of the guest. */
uint32_t vcpu_port_in(struct vcpu *vcpu, uint16_t port, unsigned size);
void vcpu_port_out(struct vcpu *vcpu, uint16_t port, unsigned size, uint32_t value);
void vcpu_unsupported(struct vcpu *vcpu);
/* Length of the instruction at RIP; 0: it cannot be fetched, and its fault has been injected. */
unsigned vcpu_length(struct vcpu *vcpu);
/* Goes on after an instruction that was handled: RIP, shadow, single step. */
void vcpu_advance(struct vcpu *vcpu, uint64_t rip);
/* Writes all registers to the log. */
void vcpu_report(struct vcpu *vcpu, const char *why);

void vcpu_signal(struct vcpu *vcpu, uint32_t bits);
/* Makes the machine's A20 gate its own, by its own thread. Engines in hardware have none. */
void vcpu_take_a20(struct vcpu *vcpu);

/* The groups are in vcpu->state on return; the second also marks them changed. */
static inline struct cpu_state *vcpu_need(struct vcpu *vcpu, uint32_t groups)
{
    engine_need(vcpu->ops, vcpu->engine, vcpu->id, vcpu->state, groups);
    return vcpu->state;
}
static inline struct cpu_state *vcpu_change(struct vcpu *vcpu, uint32_t groups)
{
    vcpu_need(vcpu, groups);
    vcpu->state->dirty |= groups;
    return vcpu->state;
}

/* The guest's TSC now; the same for an instruction that reads it; and setting it. */
uint64_t vcpu_tsc(const struct vcpu *vcpu);
uint64_t vcpu_read_tsc(struct vcpu *vcpu);
void vcpu_set_tsc(struct vcpu *vcpu, uint64_t value);

/*
 * Inject an exception before the next instruction; over one that waits, by the rules of double
 * faults (SDM 6.15).
 */
#define VCPU_NO_CODE (~0u)
void vcpu_exception(struct vcpu *vcpu, unsigned vector, uint32_t code);

#endif
