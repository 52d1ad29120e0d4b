/* SPDX-License-Identifier: MIT */
/*
 * The recompiler as a CPU engine: guest code translated to host code, block by block, and what it
 * does not translate done by the interpreter, an instruction at a time. doc/cpu-engines.md tells
 * how.
 *
 * It needs an x86-64 host with FSGSBASE, and memory that the host maps twice: once writable, once
 * executable, never both. GS is the engine's while a vCPU's thread is in recompiler_run().
 */
#ifndef VMM_ENGINES_RECOMPILER_RECOMPILER_H
#define VMM_ENGINES_RECOMPILER_RECOMPILER_H

#include "vmm/engine.h"
#include "vmm/host.h"
#include "vmm/vm.h"

extern const struct engine_ops engine_recompiler;

/* The code cache: `size` bytes, seen at both addresses. A multiple of 4 KiB, at least 1 MiB. */
struct recompiler_code {
    uint8_t *writable;
    const uint8_t *executable;
    size_t size;
};

/* What became of the guest's code so far; any thread, approximate while it runs. */
struct recompiler_stats {
    uint64_t entries;      // into translated code
    uint64_t interpreted;  // instructions
    uint64_t blocks;       // translated
    uint64_t insns;        // translated
    uint64_t fills;        // misses of the TLB that were filled
    uint64_t invalidated;  // blocks dropped because their code was written to
    uint64_t flushes;      // of the whole code cache
    uint64_t code_bytes;   // in use
    uint64_t compared;     // blocks, with the interpreter
    uint64_t stale;        // differences by translations that the guest had not flushed
};

/* For vm_create(); NULL: out of memory. */
struct engine *recompiler_create(struct host *host, unsigned vcpus,
                                 const struct recompiler_code *code);
/*
 * After recompiler_create(), with one vCPU: compare every block with the interpreter (lockstep.h);
 * a difference ends the machine. False: out of memory.
 */
bool recompiler_compare(struct engine *engine);
/* After vm_create(), before the first vcpu_loop(). False: out of memory. */
bool recompiler_attach(struct engine *engine, struct vm *vm);
/* After vm_destroy(). */
void recompiler_destroy(struct engine *engine);

struct recompiler_stats recompiler_stats(const struct engine *engine);

/*
 * The host's processor refused an instruction at `pc` (division, vector exception, a feature it
 * lacks), with `sp` as stack pointer and the host's flags `flags`, in the thread of a vCPU. If that
 * was translated code, returns the address at which the thread is to go on (registers as they are);
 * else 0. Safe in a signal handler.
 */
uint64_t recompiler_trap(struct engine *engine, uint64_t pc, uint64_t sp, uint64_t flags);

#endif
