/* SPDX-License-Identifier: MIT */
/* Inside the lockstep: a trial by the interpreter, and what it leaves to compare with. */
#ifndef VMM_ENGINES_RECOMPILER_LOCKSTEP_TRIAL_H
#define VMM_ENGINES_RECOMPILER_LOCKSTEP_TRIAL_H

#include "vmm/engines/recompiler/lockstep_vectors.h"
#include "vmm/engines/recompiler/translate.h"

#define LOCKSTEP_STEPS  (2 * BLOCK_INSNS)
#define LOCKSTEP_WRITES 512u
#define LOCKSTEP_BYTES  64u

/* A piece of RAM that the trial wrote to. */
struct lockstep_write {
    uint64_t gpa;
    uint8_t *host;
    uint32_t size;
    uint32_t step;
    uint8_t before[LOCKSTEP_BYTES], after[LOCKSTEP_BYTES];
};

struct lockstep {
    struct interp interp;
    struct cpu_state state;
    struct rec_cpu *cpu;
    bool stopped;             // at a device, or too much was written
    unsigned step_count, write_count;
    uint64_t first, gpr[16];  // where it began
    struct {
        uint64_t gpr[16], rip, rflags, undefined;
        struct insn insn;
        uint64_t from;
        unsigned image;       // of its vector registers
    } step[LOCKSTEP_STEPS];
    unsigned image_count;
    uint8_t image[LOCKSTEP_STEPS + 1][LOCKSTEP_IMAGE];
    struct lockstep_write write[LOCKSTEP_WRITES];
    uint64_t compared, stale;
    enum interp_status ended; // of the trial
};

/* RAM for the trial: what it writes is remembered. NULL: none, or too much. */
uint8_t *lockstep_ram(void *l, uint64_t gpa, unsigned size, bool write);
/* Takes back what was written. */
void lockstep_undo(struct lockstep *l);

/*
 * lockstep_stale.c: does a difference show nothing, since the guest has changed a table in use and
 * not said so? A processor may use what it was until then. The views are emptied, so that this is
 * the last time.
 */
bool lockstep_is_explained(struct lockstep *l);

#endif
