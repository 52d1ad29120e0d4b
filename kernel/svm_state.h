/* SPDX-License-Identifier: MIT */
/* A vCPU's state between the page it shares with the VM process and its VMCB. */
#ifndef KERNEL_SVM_STATE_H
#define KERNEL_SVM_STATE_H

#include "kernel/vcpu.h"
#include "kernel/vmcb.h"

/* The intercepts that are always set (intercept_misc1). */
#define SVM_MISC1 (INTERCEPT_INTR | INTERCEPT_NMI | INTERCEPT_SMI | INTERCEPT_INIT | INTERCEPT_RDPMC | INTERCEPT_CPUID | INTERCEPT_INVD | \
                   INTERCEPT_HLT | INTERCEPT_INVLPGA | INTERCEPT_IO | INTERCEPT_MSR | INTERCEPT_TASK | INTERCEPT_SHUTDOWN)
/* #DB and #AC could keep a guest in microcode for ever, #MC is the machine's own. */
#define SVM_EXCEPTIONS (1u << 1 | 1u << 17 | 1u << 18)

/* Page to VMCB: GPR and CORE (the rest of GPR is loaded by svm_enter), and the dirty groups. False if the extended state's XCR0 is refused. */
bool svm_load(struct vcpu *vcpu);

/*
 * The delivery that an exit interrupted, to be injected again, or 0. Not software interrupts and exceptions: RIP is still at their
 * instruction, which repeats them.
 */
uint64_t svm_interrupted_event(const struct vmcb *b);

/* VMCB to page: CORE without the event, and other groups. */
void svm_store_core(struct vcpu *vcpu);
void svm_store_groups(struct vcpu *vcpu, uint32_t groups);

/* The intercepts of debug registers: all while the guest does not own them, or the VM process wants them. */
void svm_intercept_dr(struct vcpu *vcpu);

/* CORE if this is no event that VMRUN takes (15.20). */
uint32_t svm_judge_event(uint64_t event);

#endif
