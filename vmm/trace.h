/* SPDX-License-Identifier: MIT */
/*
 * The log that a developer needs: what the guest does, a line each, by kind. Off, each place costs a
 * look at a word of the configuration.
 *
 * Lines begin with the vCPU's number and the kind. Where an engine of the host's processor runs the
 * guest, exceptions that it delivers by itself are not seen.
 */
#ifndef VMM_TRACE_H
#define VMM_TRACE_H

enum trace_kind {
    TRACE_EXITS = 1,      // accesses to ports and to devices' memory
    TRACE_INTERRUPTS = 2, // interrupts and NMIs that are delivered
    TRACE_FAULTS = 4,     // exceptions
    TRACE_MSR = 8,        // RDMSR and WRMSR that the VM process answers
    TRACE_BLOCKS = 16,    // what the recompiler translates
};

#endif
