/* SPDX-License-Identifier: MIT */
/*
 * The interpreter: executes one guest instruction exactly (Intel SDM volumes 1 and 2, AMD APM
 * volume 3).
 *
 * The hardware engines use it for memory-mapped I/O, string port instructions and instruction
 * lengths that the processor does not give. interp_step() fetches at CS:RIP, decodes by the table
 * of opcodes.def and executes, on the state in `state` (groups that are not there it asks for with
 * ops->need) and on guest memory through the callbacks. One struct interp a vCPU, used by the
 * vCPU's own thread only; it holds no lock.
 *
 * Nothing is changed before an instruction is sure to complete, but accessed and dirty bits, what a
 * string instruction has done so far, and reads of devices. An instruction that faults leaves RIP
 * on itself.
 *
 * Privileged state machines (CPUID, MSRs, HLT, the TSC, ...) are the vCPU's: after all checks of
 * privilege the step ends with INTERP_EXIT and the same `reason`, `q0`, `q1` and `insn_len` in the
 * state that a hardware engine would report, RIP still on the instruction.
 *
 * CPL is DPL of SS in protected mode (as in a VMCB), 3 in virtual-8086 mode, 0 in real mode.
 */
#ifndef VMM_CPU_INTERP_H
#define VMM_CPU_INTERP_H

#include "vmm/cpu/decode.h"
#include "vmm/cpu/state.h"
#include "vmm/cpu/tlb.h"
#include "vmm/cpu/walk.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum interp_status {
    INTERP_DONE = 0, // executed; RIP is on the next instruction
    INTERP_AGAIN, // a string instruction has done its share; RIP still on it: look at interrupts,
                  // step again
    INTERP_FAULT, // deliver `fault`; RIP is what the handler is to see (after a trap: the next
                  // instruction)
    INTERP_EXIT,  // for the vCPU to do, as after an exit of the engine (reason, q0, q1, insn_len)
    INTERP_UNSUPPORTED, // decoded, but not executed by this interpreter; nothing changed; `insn`
                        // says what
};

#define INTERP_MUST_CHECK __attribute__((warn_unused_result))

/* Called by the vCPU's thread, from inside interp_step() only. */
struct interp_ops {
    /*
     * The host's address of guest RAM [gpa, gpa + size), which lies in one 4 KiB page; NULL if it
     * is not RAM (a device, or nothing). `write`: it will be written.
     */
    uint8_t *(*ram)(void *arg, uint64_t gpa, unsigned size, bool write);
    /*
     * A device's memory; size is 1, 2, 4 or 8; a wider guest access comes in pieces, lowest address
     * first.
     */
    uint64_t (*mmio_read)(void *arg, uint64_t gpa, unsigned size);
    void (*mmio_write)(void *arg, uint64_t gpa, unsigned size, uint64_t value);
    /* Ports, for string instructions; size 1, 2 or 4. */
    uint32_t (*port_in)(void *arg, uint16_t port, unsigned size);
    void (*port_out)(void *arg, uint16_t port, unsigned size, uint32_t value);
    /* Bring the groups (CPU_*) that are not in state->valid. */
    void (*need)(void *arg, uint32_t groups);
};

/* What to deliver after INTERP_FAULT. CR2 and DR6 are already in the state. */
struct interp_fault {
    uint8_t  vector;
    bool     has_code;
    uint32_t code;
};


#define INTERP_SHARE   4096u // iterations of a string instruction that a step does, at most
#define INTERP_DECODED 32u // instructions remembered if nobody gives more room

/* A decoded instruction, good wherever the same bytes are found in the same code size. */
struct interp_decoded {
    uint64_t bytes[2];
    uint64_t mask[2];  // of the instruction's own bytes
    struct insn insn;
    uint8_t  mode;     // 0: nothing here
};

struct interp {
    struct cpu_state *state;
    const struct interp_ops *ops;
    void *arg;
    uint8_t physical_bits;      // of guest-physical addresses, 32 to 52
    bool amd;                   // SYSCALL and SYSRET outside of 64-bit code too, which Intel's processors refuse
    bool monitors;              // MONITOR and MWAIT are there; else both leave (EXIT_MWAIT) for #UD
    uint32_t share;             // INTERP_SHARE, or less for who needs to stop in between
    uint32_t host;              // HOST_*: what this processor has (host_feature.h)
    struct interp_fault fault;
    struct insn insn;           // the instruction of the last step
    /* Of the step that runs. */
    struct walk walk;
    uint64_t next_rip;
    uint8_t  mode;              // code size: 2, 4, 8
    uint8_t  cpl;
    bool     shadow;            // the instruction holds interrupts off for one more
    bool     switched;          // tasks: a fault is the new one's
    bool     task_trap;         // the new task's TSS asks for a debug trap
    bool     software;          // no single-step trap by the TF that the instruction found
    bool     watch;             // breakpoints are enabled
    bool     held;              // the last instruction loaded SS: no debug exception behind it
    uint32_t hits;              // B0 to B3 of what this step has accessed; BS, if it says so itself
    uint32_t pending;           // and of the one that loaded SS
    uint64_t invalidated;       // linear address of the last INVLPG
    uint64_t monitored;         // of the last MONITOR
    struct walk_cache walks;
    struct tlb *tlb;              // NULL: every translation is checked against the tables
    struct interp_decoded *cache; // by linear address
    uint32_t cache_mask;
    struct interp_decoded decoded[INTERP_DECODED];
};

/* ops and state stay the caller's; physical_bits is what CPUID 80000008h tells the guest. */
void interp_init(struct interp *interp, struct cpu_state *state, const struct interp_ops *ops,
                 void *arg, unsigned physical_bits);

/*
 * Room for `count` decoded instructions, a power of two: zeroed, the caller's, for the rest of the
 * interpreter's life. For an engine that executes everything.
 */
void interp_give_cache(struct interp *interp, struct interp_decoded *cache, uint32_t count);

/*
 * A TLB, zeroed and the caller's: for an engine that executes everything, so that no flush by the
 * guest goes past the interpreter. Others must not give one.
 */
void interp_give_tlb(struct interp *interp, struct tlb *tlb);
/* From now on these lines of physical addresses stay 0 (walk.h). The vCPU's thread. */
void interp_mask(struct interp *interp, uint64_t masked);

/* Execute the instruction at CS:RIP. */
enum interp_status interp_step(struct interp *interp) INTERP_MUST_CHECK;

/*
 * Fetch and decode the instruction at CS:RIP into interp->insn without executing it: INTERP_DONE
 * and its length in insn.length, or INTERP_FAULT.
 */
enum interp_status interp_fetch(struct interp *interp) INTERP_MUST_CHECK;

/*
 * Advance RIP over an instruction of `length` bytes, wrapping as the code size says; clears shadow
 * and RF.
 */
void interp_skip(struct interp *interp, unsigned length);

#endif
