/* SPDX-License-Identifier: MIT */
/*
 * The CPU engine interface: what runs the guest's instructions.
 *
 * An engine is created by the host (hardware) or in the VM process (recompiler, interpreter) for
 * a fixed number of vCPUs, and handed to vm_create(). state, run and fetch belong to the vCPU's
 * own thread; kick may come from any thread; the others say so.
 *
 * Injection is state: a valid `event` is delivered at the next entry, before the first
 * instruction. After an exit `event` holds the delivery that the exit interrupted, or 0: leaving
 * it there injects it again. An interrupt that cannot be delivered yet is waited for with
 * `requests`. Translation of guest-linear addresses is a walk over guest memory (vmm/cpu/walk.h),
 * the same for all engines.
 */
#ifndef VMM_ENGINE_H
#define VMM_ENGINE_H

#include "vmm/cpu/cpuid.h"
#include "vmm/cpu/state.h"

#include <stdbool.h>
#include <stdint.h>

/*
 * reason and qualifications q0, q1 in struct cpu_state. Names and numbers are the same for every
 * engine.
 */
enum engine_exit {
    EXIT_RECALL    = 0,  // kicked, or nothing to do but look again
    EXIT_WINDOW    = 1,  // a maskable interrupt can be delivered now
    EXIT_NMIWINDOW = 2,
    EXIT_IO        = 3,  // q0 = port << 16 | EXIT_IO_* ; q1 = next RIP
    EXIT_MSR       = 4,  // q0 = 0 read, 1 write; RCX = index
    EXIT_CPUID     = 5,
    EXIT_HLT       = 6,
    EXIT_MEMORY    = 7,  // q0 = EXIT_MEMORY_* (page fault error code), q1 = guest-physical address
    EXIT_SHUTDOWN  = 8,  // triple fault
    EXIT_INVALID   = 9,  // state refused: q0 = groups with an offending field as far as known
    EXIT_HYPERCALL = 10, // VMMCALL, VMCALL
    EXIT_EXCEPTION = 11, // q0 = vector | code valid << 31, q1 = code; #PF: q1 = CR2, q0 23:8 = code
    EXIT_CR        = 12, // q0 = number | write << 8
    EXIT_DR        = 13, // q0 = number | write << 8
    EXIT_TSC       = 14, // RDTSC (q0 = 0), RDTSCP (q0 = 1)
    EXIT_PMC       = 15, // RDPMC
    EXIT_CACHE     = 16, // INVD (q0 = 0), WBINVD (q0 = 1)
    EXIT_INVLPG    = 17, // q0 = address where the engine knows it
    EXIT_MWAIT     = 18, // MONITOR (q0 = 0), MWAIT (q0 = 1)
    EXIT_XSETBV    = 19,
    EXIT_SVM       = 20, // a virtualization instruction
    EXIT_TASK      = 21, // task switch
    EXIT_PAUSE     = 22,
    EXIT_TABLE     = 23, // descriptor table register access
    EXIT_OTHER     = 24, // q0, q1 = the hardware's own code
    EXIT_COUNT
};

/* q0 of EXIT_IO: EXITINFO1 of SVM (APM 15.10.2). */
#define EXIT_IO_IN      0x001u
#define EXIT_IO_STRING  0x004u
#define EXIT_IO_REP     0x008u
#define EXIT_IO_SIZE    0x070u // >> 4: 1, 2, 4
#define EXIT_IO_ADDRESS 0x380u // >> 7: 1 = 16, 2 = 32, 4 = 64 bits

/* q0 of EXIT_MEMORY. */
#define EXIT_MEMORY_PRESENT 0x01u
#define EXIT_MEMORY_WRITE   0x02u
#define EXIT_MEMORY_USER    0x04u
#define EXIT_MEMORY_FETCH   0x10u

struct engine; // the engine's own

struct engine_ops {
    const char *name;
    uint64_t xcr0;  // extended state that it switches, as bits of XCR0; 0: no XSAVE
    bool tsc_aux;   // it switches TSC_AUX
    bool monitors;  // MWAIT waits for writes (VCPU_STORE): MONITOR is offered where there are several vCPUs
    bool masks_a20; // its translations are by struct walk's `masked`; processors have no such gate any more
    /* What it takes away from the processor's features, applied last to the CPUID table. */
    const struct cpuid_override *features;
    size_t feature_count;
    /* The processor that its guests see, by engine; NULL: the one that runs this code. */
    cpuid_read_fn *cpuid;
    /*
     * While the interpreter runs, the guest's vector registers may be in the processor: the group
     * CPU_XSTATE is not valid then, and has to be before code runs that may use vector registers.
     */
    bool live_vectors;
    /* IA32_ARCH_CAPABILITIES (SDM volume 4), for one whose features show it; else 0. */
    uint64_t arch_capabilities;
    /* The state page of vCPU n; the same for its whole life. Any thread, to get the pointer. */
    struct cpu_state *(*state)(struct engine *engine, unsigned vcpu);
    /*
     * Enter the guest; returns at an exit, with reason, q0, q1 filled. false: the engine is
     * broken for good (the VM ends).
     */
    bool (*run)(struct engine *engine, unsigned vcpu);
    /*
     * Make vCPU n exit with EXIT_RECALL, at once if it runs, else at its next entry. Sticky.
     * Any thread.
     */
    void (*kick)(struct engine *engine, unsigned vcpu);
    /* Bring the groups into the state page and set them in `valid`. */
    void (*fetch)(struct engine *engine, unsigned vcpu, uint32_t groups);
    /* Forget all translations of vCPU n (it changed CR0, CR3, CR4 or page tables by emulation). */
    void (*invalidate)(struct engine *engine, unsigned vcpu);
    /*
     * May be NULL. The interpreter is about to write to guest RAM for vCPU n, in the course of the
     * engine's own interp_step().
     */
    void (*written)(struct engine *engine, unsigned vcpu, uint64_t gpa, uint64_t size);
};

/* Groups a caller wants to read: fetched only if not yet there. */
static inline void engine_need(const struct engine_ops *ops, struct engine *engine, unsigned vcpu,
                               struct cpu_state *state, uint32_t groups)
{
    if (groups & ~(state->valid | CPU_GPR | CPU_CORE))
        ops->fetch(engine, vcpu, groups & ~state->valid);
}

#endif
